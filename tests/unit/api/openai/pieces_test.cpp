#include "api/openai/pieces.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::api;

TEST_CASE("shown text: after a reset it is as new", "[api][openai]") {
    openai::text_plan plan;
    plan.logprobs = 0;
    plan.parameters.stop = {"END"};
    openai::shown_text shown{plan, 2};
    inference::token t;
    t.text = "aEN";
    shown.add(t);
    inference::generated_text end;
    end.reason = inference::finish_reason::eos_token;
    shown.finish(end);
    CHECK(shown.text == "aEN");
    shown.reset();
    CHECK(shown.text.empty());
    CHECK(shown.scored().empty());
    shown.add(t);
    CHECK(shown.text == "a");
    t.text = "";
    shown.add(t);
    const auto ready = shown.scored();
    REQUIRE(ready.size() == 1);  // the other is not told before the end
    CHECK(ready[0].text == "aEN");
    CHECK(ready[0].offset == 2);
}
