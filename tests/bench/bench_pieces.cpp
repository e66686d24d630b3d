// What the HTTP side does for each token and for each request, without sockets.
#include "bench/figures.hpp"
#include "bench/timing.hpp"
#include "generate.pb.h"
#include "shard/scan.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/generate_body.hpp"
#include "truffula/api/read_json.hpp"
#include "truffula/api/validate.hpp"
#include "truffula/shard/read_generation.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace truffula;
using bench::check;

constexpr std::size_t rounds = 20;

void write_events() {
    inference::token token;
    token.id = 1234;
    token.text = " \"token\"";
    token.logprob = -0.2513F;
    std::string out;
    const auto write = [&] {
        out.clear();
        api::append_token_event(out, token);
        check(out.ends_with("\n\n"));
    };
    bench::report("token event", "ns", bench::time_of<bench::nanoseconds>(rounds, 100'000, write));
}

generate::v1::Generation one_token(std::uint64_t request_id) {
    generate::v1::Generation g;
    g.set_request_id(request_id);
    auto& next = *g.mutable_next_tokens();
    next.add_ids(1234);
    next.add_logprobs(-0.25F);
    next.add_texts(" token");
    next.add_is_special(false);
    return g;
}

void read_generations() {
    const auto bytes = one_token(77).SerializeAsString();
    const auto read = [&] { check(shard::read_generation(bytes).has_value()); };
    bench::report(
        "generation of one token read",
        "ns",
        bench::time_of<bench::nanoseconds>(rounds, 100'000, read));
}

void scan_answers() {
    generate::v1::DecodeResponse answer;
    for (std::uint64_t id = 1000; id < 1512; ++id) {
        *answer.add_generations() = one_token(id);
        answer.mutable_batch()->add_request_ids(id);
    }
    answer.mutable_batch()->set_id(1);
    answer.mutable_batch()->set_size(512);
    const auto bytes = answer.SerializeAsString();
    const auto scan = [&] {
        std::vector<shard::generation_span> spans;
        check(shard::scan_answer(bytes, 0, spans).has_value() && spans.size() == 512);
    };
    bench::report(
        "step of 512 sequences scanned",
        "ns",
        bench::time_of<bench::nanoseconds>(rounds, 1'000, scan));
}

void read_requests() {
    std::string body = R"({"inputs":")";
    while (body.size() < 800) body += "some words of a prompt ";
    body += R"(","parameters":{"max_new_tokens":64,"temperature":0.7,"top_p":0.95,"top_k":50,)"
            R"("do_sample":true,"seed":42,"stop":["\n\n","User:"],"details":true}})";
    body.resize(1024, ' ');
    const api::limits allowed;
    const auto read = [&] {
        api::generate_body parsed;
        check(!api::read_json(body, api::generate_body::schema(), &parsed));
        check(api::check_parameters(parsed, allowed).has_value());
    };
    bench::report(
        "request of 1 KiB parsed and validated",
        "ns",
        bench::time_of<bench::nanoseconds>(rounds, 5'000, read));
}

}  // namespace

int main() {
    write_events();
    read_generations();
    scan_answers();
    read_requests();
    return 0;
}
