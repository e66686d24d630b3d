#include "app/build_facts.hpp"

#include <string_view>

namespace truffula::app {
namespace {

std::optional<std::string> unless_empty(std::string_view text) {
    if (text.empty()) return std::nullopt;
    return std::string{text};
}

}  // namespace

std::optional<std::string> git_sha() {
    return unless_empty(TRUFFULA_GIT_SHA);
}

std::optional<std::string> docker_label() {
    return unless_empty(TRUFFULA_DOCKER_LABEL);
}

}  // namespace truffula::app
