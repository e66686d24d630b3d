#include "shard/deadline_book.hpp"

#include <catch2/catch.hpp>

using truffula::shard::deadline_book;
using namespace std::chrono_literals;

namespace {

const deadline_book::clock::time_point start{1h};

}  // namespace

TEST_CASE("deadlines: an empty book has none", "[shard]") {
    deadline_book book;
    CHECK_FALSE(book.next());
    CHECK_FALSE(book.expired(start + 24h));
    book.done(7, start);  // unknown: nothing happens
    CHECK_FALSE(book.next());
}

TEST_CASE("deadlines: the clock of a call starts when those before it are answered", "[shard]") {
    deadline_book book;
    book.sent(1, 10s, start);
    book.sent(3, 5s, start);
    CHECK(book.next() == start + 10s);
    CHECK_FALSE(book.expired(start + 9'999ms));  // not even the second, whose time is shorter
    book.done(1, start + 8s);
    CHECK(book.next() == start + 13s);
    CHECK_FALSE(book.expired(start + 12'999ms));
    CHECK(book.expired(start + 13s) == 3);
}

TEST_CASE("deadlines: a call behind one that timed out gets its time from there", "[shard]") {
    deadline_book book;
    book.sent(1, 10s, start);
    book.sent(3, 5s, start + 9s);
    REQUIRE(book.expired(start + 10s) == 1);
    book.done(1, start + 10s);
    CHECK_FALSE(book.expired(start + 14s));
    CHECK(book.expired(start + 15s) == 3);
    book.done(3, start + 15s);
    CHECK_FALSE(book.next());
}

TEST_CASE("deadlines: one given up behind the first leaves the first's clock alone", "[shard]") {
    deadline_book book;
    book.sent(1, 10s, start);
    book.sent(3, 5s, start);
    book.sent(5, 1s, start);
    book.done(3, start + 2s);
    CHECK(book.next() == start + 10s);
    book.done(1, start + 4s);
    CHECK(book.next() == start + 5s);
}
