// Bodies of clients: JSON, and the rules that need no tokenizer.
#include "fuzz_target.hpp"
#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/generate_body.hpp"
#include "truffula/api/read_json.hpp"
#include "truffula/api/validate.hpp"

using namespace truffula;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    api::generate_body body;
    const api::limits limits;
    if (api::read_json(as_text(data, size), api::generate_body::switch_schema(), &body)) return 0;
    (void)api::check_endpoint(body.parameters, limits, body.stream);
    if (!api::check_parameters(body, limits)) return 0;
    (void)api::check_lengths(body.parameters, limits, body.inputs.size());
    (void)api::choose_adapter(body.parameters, "hub", std::nullopt);
    // What has passed may go into a header.
    if (api::has_control_character(api::adapter_header(body.parameters))) __builtin_trap();
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        R"({"inputs":"hello"})",
        R"({"inputs":"h\u00e9\ud83c\udf32","parameters":{"max_new_tokens":5,"stop":["a","b"],"seed":3}})",
        R"({"inputs":"x","parameters":{"adapter_id":"a/b","adapter_source":"hub","api_token":"t",)"
        R"("temperature":0.5,"top_p":0.9,"top_k":5,"typical_p":0.2,"best_of":2,"details":true}})",
        R"({"inputs":"x","parameters":{"merged_adapters":{"ids":["a","b"],"weights":[0.5,1e-3],)"
        R"("merge_strategy":"ties","density":0.5,"majority_sign_method":"total"}},"stream":true})",
        R"({"inputs":"x","parameters":{"response_format":{"type":"json_object","schema":{"a":[1,{}]}}}})",
        R"([[[[{"a":-1.5e400,"b":null,"b":true}]]]])",
    };
}
