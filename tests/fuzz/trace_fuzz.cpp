// Traces of requests: what is read is written so that it reads the same.
#include "fuzz_target.hpp"
#include "simulator/trace.hpp"

#include <cstdlib>
#include <sstream>

using namespace truffula::simulator;

namespace {

void check_equal(const workload& a, const workload& b) {
    constexpr std::chrono::nanoseconds as_double_rounds{100};
    if (a.arrivals.size() != b.arrivals.size()) __builtin_trap();
    for (std::size_t i = 0; i < a.arrivals.size(); ++i) {
        const auto& x = a.arrivals[i];
        const auto& y = b.arrivals[i];
        const bool is_equal = x.input_tokens == y.input_tokens &&
                              x.output_tokens == y.output_tokens && x.is_batch == y.is_batch &&
                              a.adapters[x.adapter] == b.adapters[y.adapter] &&
                              a.tenants[x.tenant] == b.tenants[y.tenant] &&
                              std::chrono::abs(x.at - y.at) < as_double_rounds;
        if (!is_equal) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string input{as_text(data, size)};
    std::istringstream strict{input};
    const auto whole = read_trace(strict, "trace", on_bad_line::stop);
    std::istringstream lenient{input};
    const auto read = read_trace(lenient, "trace", on_bad_line::skip);
    if (whole && (!read || !read->skipped.empty())) __builtin_trap();
    if (!read) return 0;
    std::ostringstream written;
    write_trace(written, read->requests);
    std::istringstream again{written.str()};
    const auto reread = read_trace(again, "trace", on_bad_line::stop);
    if (!reread) __builtin_trap();
    check_equal(read->requests, reread->requests);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        "time_s,adapter,tenant,input_tokens,output_tokens,priority\n0.5,a,t,10,20,batch\n"
        "0.25,,,1,1,\n",
        "output_tokens,input_tokens,adapter,time_s,more\r\n1,1000000,\"a \"\"b\"\", c\",1e-3,x\r\n",
        R"({"time_s":1,"adapter":"a/b","input_tokens":5,"output_tokens":6,"tenant":"t","x":[{}]})"
        "\n"
        R"({"time_s":"0.5","adapter":"\u00e9,\" \n","input_tokens":"5","output_tokens":6})"
        "\n\n{}\n",
    };
}
