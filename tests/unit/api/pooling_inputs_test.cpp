#include "api/pooling_inputs.hpp"

#include "support/run_coro.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

using namespace truffula;
namespace asio = boost::asio;

namespace {

/// One token for each byte; notes the first byte of every text.
class byte_encoder final : public api::encoder {
public:
    result<std::vector<std::uint32_t>> encode(std::string_view text, bool) const override {
        const std::lock_guard lock{mutex_};
        order_ += text.substr(0, 1);
        return std::vector<std::uint32_t>(text.begin(), text.end());
    }
    result<std::vector<text::token_span>> spans(std::string_view text, bool) const override {
        if (text == "bad") return error{errc::io, "none"};
        return std::vector<text::token_span>(text.size());
    }
    result<std::size_t> byte_offset(std::string_view, bool, std::size_t skip) const override {
        return skip;
    }
    result<std::string> decode(std::span<const std::uint32_t> ids) const override {
        return std::string(ids.begin(), ids.end());
    }
    std::string order() const {
        const std::lock_guard lock{mutex_};
        return order_;
    }

private:
    mutable std::mutex mutex_;
    mutable std::string order_;
};

struct pooling_world {
    std::shared_ptr<api::pooling_call> call(const std::vector<std::string>& texts) const {
        auto made = std::make_shared<api::pooling_call>();
        made->with = with;
        for (const auto& t : texts) made->inputs.emplace_back().text = t;
        return made;
    }

    std::shared_ptr<const byte_encoder> encoder = std::make_shared<const byte_encoder>();
    std::shared_ptr<api::services> with = [this] {
        auto made = std::make_shared<api::services>();
        made->encoder = encoder;
        made->workers = std::make_shared<api::workers>(1);
        return made;
    }();
};

/// What is said of the inputs; empty: nothing.
std::string prepare(const pooling_world& w, const std::shared_ptr<api::pooling_call>& call) {
    std::string words;
    w.with->workers = std::make_shared<api::workers>(1);
    test::run_coro([&]() -> asio::awaitable<void> {
        const auto fine = co_await api::prepare_inputs(call);
        if (!fine) words = fine.error().detail;
        w.with->workers->stop();  // before those who wait for them
    });
    return words;
}

}  // namespace

TEST_CASE("pooling inputs: texts have ids, ids have a text", "[api]") {
    const pooling_world w;
    const auto call = w.call({"ab", ""});
    call->inputs[1].has_ids = true;
    call->inputs[1].ids = {'x', 'y', 'z'};
    CHECK(prepare(w, call).empty());
    CHECK(call->inputs[0].ids == std::vector<std::uint32_t>{'a', 'b'});
    CHECK(call->inputs[0].length == 2);
    CHECK(call->inputs[0].tokens.empty());
    CHECK(call->inputs[1].text == "xyz");
    CHECK(call->inputs[1].length == 3);
}

TEST_CASE("pooling inputs: what is classified has the places of its tokens", "[api]") {
    const pooling_world w;
    const auto call = w.call({"abc"});
    call->kind = inference::task::classify;
    CHECK(prepare(w, call).empty());
    CHECK(call->inputs[0].tokens.size() == 3);
    CHECK(call->inputs[0].length == 3);
    call->inputs[0] = {};
    call->inputs[0].text = "bad";
    CHECK(prepare(w, call) == "tokenizer error none");
}

TEST_CASE("pooling inputs: a length has its limit, and names the input of several", "[api]") {
    const pooling_world w;
    const std::string longest(1792, 'x');
    CHECK(prepare(w, w.call({longest})).empty());
    const std::string words = "`inputs` must have less than 1792 tokens. Given: 1793";
    CHECK(prepare(w, w.call({longest + "x"})) == words);
    CHECK(prepare(w, w.call({"a", longest + "x"})) == words + " (input 1, the first is 0)");
}

TEST_CASE("pooling inputs: without tokenizer a length is the longest", "[api]") {
    const pooling_world w;
    w.with->encoder = nullptr;
    const auto call = w.call({"ab"});
    CHECK(prepare(w, call).empty());
    CHECK(call->inputs[0].ids.empty());
    CHECK(call->inputs[0].length == w.with->limits.max_input_length);
}

TEST_CASE("pooling inputs: long ones of several requests take turns", "[api]") {
    using namespace asio::experimental::awaitable_operators;
    const pooling_world w;
    w.with->limits = {2, 10, 100'000, 200'000};
    const std::size_t of_a_job = 64U << 10U;
    const auto one = w.call(std::vector(3, std::string(of_a_job, 'a')));
    const auto other = w.call(std::vector(3, std::string(of_a_job, 'b')));
    test::run_coro([&]() -> asio::awaitable<void> {
        const auto [first, second] =
            co_await (api::prepare_inputs(one) && api::prepare_inputs(other));
        CHECK(first.has_value());
        CHECK(second.has_value());
        w.with->workers->stop();
    });
    CHECK(w.encoder->order() == "ababab");
}
