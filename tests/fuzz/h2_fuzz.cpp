// The bytes that a shard's connection brings: whatever comes, every call ends once.
#include "fuzz_target.hpp"
#include "shard/h2_session.hpp"

#include <algorithm>
#include <set>

using namespace truffula;

namespace {

void read(std::string_view input, std::size_t step) {
    shard::h2_session session{1U << 16U};
    std::set<std::int32_t> open;
    std::string output;
    for (const auto* method : {"Decode", "Health"}) {
        if (const auto stream = session.submit(method, "localhost", std::string(5, '\0'))) {
            open.insert(*stream);
        }
    }
    const auto collect = [&] {
        for (const auto& call : session.finished()) {
            if (open.erase(call.stream) == 0) __builtin_trap();
        }
        session.finished().clear();
        output.clear();
        session.take_output(output);
    };
    for (std::size_t at = 0; at < input.size(); at += step) {
        const auto ok = session.receive(input.substr(at, step));
        collect();
        if (!ok || session.is_over()) break;
    }
    session.fail_all({errc::connection, "closed"});
    collect();
    if (!open.empty() || session.open_calls() != 0) __builtin_trap();
}

using namespace std::string_literals;

constexpr char data = 0;
constexpr char headers = 1;
constexpr char reset = 3;
constexpr char settings = 4;
constexpr char goaway = 7;
constexpr char end_stream = 1;
constexpr char end_headers = 4;

std::string frame(char type, char flags, char stream, const std::string& content) {
    return "\0\0"s + static_cast<char>(content.size()) + type + flags + "\0\0\0"s + stream +
           content;
}

/// A header that is not to be remembered, in HPACK.
std::string header(const std::string& name, const std::string& value) {
    return "\0"s + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const auto input = as_text(bytes, size);
    read(input, size + 1);
    read(input, 7);
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    const auto hello = frame(settings, 0, 0, "");
    const auto ok = "\x88"s + header("content-type", "application/grpc");
    const auto status = header("grpc-status", "0") + header("grpc-message", "all%20well");
    return {
        hello + frame(headers, end_headers, 1, ok) + frame(data, 0, 1, "\0\0\0\0\x02\x08\x01"s) +
            frame(headers, end_headers | end_stream, 1, status),
        hello + frame(headers, end_headers | end_stream, 3, ok + status) +
            frame(reset, 0, 1, "\0\0\0\x08"s) + frame(goaway, 0, 0, "\0\0\0\x03\0\0\0\0"s),
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    };
}
