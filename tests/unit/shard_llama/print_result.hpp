#pragma once

#include "truffula/error/error.hpp"

#include <catch2/catch.hpp>

#include <string>

/// Lets CHECK(some_result) print why there is none.
template <class T>
struct Catch::StringMaker<truffula::result<T>> {
    static std::string convert(const truffula::result<T>& r) {
        return r ? "a value" : "error: " + r.error().detail;
    }
};
