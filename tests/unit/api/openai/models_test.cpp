#include "truffula/api/openai/models.hpp"

#include <catch2/catch.hpp>

using namespace truffula;
using namespace truffula::api;
using adapter::adapter_state;

TEST_CASE("openai models: base first, then adapters by name, each once", "[api][openai]") {
    const std::vector<adapter::known_adapter> known{
        {{"b/two"}, adapter_state::ready, true},
        {{"a/one"}, adapter_state::downloaded, true},
        {{"x", "y"}, adapter_state::ready, true},
        {{"broken"}, adapter_state::failed},
        {{"new"}, adapter_state::downloading},
        {{"broken/later"}, adapter_state::offloading},
        {{"listed"}, adapter_state::failed}};
    const auto models = openai::list_models("base", known, {"idle", "listed", "b/two"});
    std::string text;
    for (const auto& m : models) text += m.id + "=" + std::string{m.state} + " ";
    CHECK(text == "base=ready a/one=downloaded b/two=ready idle=unknown listed=failed ");
    CHECK(models.front().is_base);
    CHECK(openai::list_models("base", {}, {}).size() == 1);
}

TEST_CASE("openai models: how one is written", "[api][openai]") {
    std::string out;
    openai::append_model(out, {"a/one", "ready", false}, "base", 5);
    CHECK(
        out == R"({"id":"a/one","object":"model","created":5,"owned_by":"truffula","root":"base",)"
               R"("parent":"base","state":"ready"})");
}

TEST_CASE("openai models: ids in paths", "[api][openai]") {
    CHECK(openai::decode_path("a/b") == "a/b");
    CHECK(openai::decode_path("a%2Fb%20") == "a/b ");
    for (const auto* bad : {"%", "%2", "%zz", "a%2", "%-1"}) CHECK_FALSE(openai::decode_path(bad));
}
