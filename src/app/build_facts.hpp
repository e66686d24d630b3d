#pragma once

#include <optional>
#include <string>

namespace truffula::app {

/// The commit that was built (`GIT_SHA` when CMake ran, else git's); nothing if neither told it.
std::optional<std::string> git_sha();

/// What `DOCKER_LABEL` was when CMake ran; nothing if it was not set.
std::optional<std::string> docker_label();

}  // namespace truffula::app
