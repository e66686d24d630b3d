#pragma once

#include "truffula/error/error.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace truffula::simulator {

/// The value. Its error is thrown as one that CLI11 reports, with the option's name before it.
template <class T>
T checked(const char* option, result<T> value) {
    if (!value) throw CLI::ValidationError(option, value.error().detail);
    return std::move(*value);
}

}  // namespace truffula::simulator
