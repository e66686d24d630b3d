#include "truffula/http/outbound_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace truffula::http {
namespace {

namespace ip = boost::asio::ip;

// RFC 6890 and its registry: what is not reachable for all, and what is no single host.
constexpr std::array reserved_v4{
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
};

// Of 2000::/3, beside which nothing is public: protocols (Teredo too), documentation, and 6to4,
// which hides an address of IPv4.
constexpr std::array reserved_v6{"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};

bool is_in(const ip::network_v4& network, const ip::address_v4& address) {
    return ip::network_v4{address, network.prefix_length()}.network() == network.network();
}

bool is_in(const ip::network_v6& network, const ip::address_v6& address) {
    return ip::network_v6{address, network.prefix_length()}.network() == network.network();
}

template <class Networks, class Address>
bool is_in_any(const Networks& networks, const Address& address) {
    return std::ranges::any_of(networks, [&](const auto& n) { return is_in(n, address); });
}

bool is_public_v4(const ip::address_v4& address) {
    static const auto networks = [] {
        std::vector<ip::network_v4> all;
        all.reserve(reserved_v4.size());
        for (const auto* text : reserved_v4) all.push_back(ip::make_network_v4(text));
        return all;
    }();
    return !is_in_any(networks, address);
}

bool is_public_v6(const ip::address_v6& address) {
    static const auto global = ip::make_network_v6("2000::/3");
    static const auto networks = [] {
        std::vector<ip::network_v6> all;
        all.reserve(reserved_v6.size());
        for (const auto* text : reserved_v6) all.push_back(ip::make_network_v6(text));
        return all;
    }();
    return is_in(global, address) && !is_in_any(networks, address);
}

/// The address of IPv4 where one of IPv6 stands for it.
ip::address without_wrapping(const ip::address& address) {
    if (address.is_v4()) return address;
    constexpr std::size_t offset = 12;  // of the last 32 bits
    constexpr std::array<unsigned char, offset> nat64{0x00, 0x64, 0xff, 0x9b};
    const auto bytes = address.to_v6().to_bytes();
    const bool is_nat64 = std::equal(nat64.begin(), nat64.end(), bytes.begin());
    if (!address.to_v6().is_v4_mapped() && !is_nat64) return address;
    ip::address_v4::bytes_type inner{};
    std::copy(bytes.begin() + offset, bytes.end(), inner.begin());
    return ip::address_v4{inner};
}

std::string lower(std::string_view text) {
    std::string low{text};
    std::ranges::transform(
        low, low.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return low;
}

/// `host:port` in parts; 0: no port. Nothing if the port is none.
std::optional<std::pair<std::string_view, std::uint16_t>> split_port(std::string_view entry) {
    const auto colon = entry.rfind(':');
    const auto bracket = entry.rfind(']');
    const bool is_inner = bracket != entry.npos && colon != entry.npos && colon < bracket;
    if (colon == entry.npos || is_inner) return std::pair{entry, std::uint16_t{0}};
    const auto text = entry.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return std::pair{entry.substr(0, colon), port};
}

bool is_name(std::string_view text) {
    const auto fits = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
    };
    return !text.empty() && text.front() != '.' && std::ranges::all_of(text, fits);
}

/// `[::1]`
bool is_bracketed_v6(std::string_view text) {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
    boost::system::error_code ec;
    ip::make_address_v6(std::string{text.substr(1, text.size() - 2)}, ec);
    return !ec;
}

}  // namespace

bool is_public(const ip::address& address) {
    const auto meant = without_wrapping(address);
    return meant.is_v4() ? is_public_v4(meant.to_v4()) : is_public_v6(meant.to_v6());
}

result<outbound_rules> outbound_rules::read(
    const std::vector<std::string>& hosts, const std::vector<std::string>& networks) {
    outbound_rules rules;
    for (const auto& entry : hosts) {
        const auto parts = split_port(entry);
        auto name = lower(parts ? parts->first : std::string_view{});
        host_rule rule;
        rule.port = parts ? parts->second : std::uint16_t{0};
        rule.is_any = name == "*";
        rule.is_below = name.starts_with("*.");
        if (rule.is_below) name.erase(0, 1);
        const std::string_view bare = rule.is_below ? std::string_view{name}.substr(1) : name;
        if (!parts || !(rule.is_any || is_name(bare) || is_bracketed_v6(bare))) {
            return error{
                errc::invalid_config,
                "`" + entry + "` is no host: give a name, *.name, * or an address, without scheme"};
        }
        rule.name = std::move(name);
        rules.hosts_.push_back(std::move(rule));
    }
    for (const auto& entry : networks) {
        boost::system::error_code no_v4;
        boost::system::error_code no_v6;
        const auto v4 = ip::make_network_v4(entry, no_v4);
        const auto v6 = ip::make_network_v6(entry, no_v6);
        if (!no_v4) rules.networks_v4_.push_back(v4);
        if (!no_v6) rules.networks_v6_.push_back(v6);
        if (no_v4 && no_v6) {
            return error{
                errc::invalid_config,
                "`" + entry + "` is no network: give one as 10.1.0.0/16 or fd00::/8"};
        }
    }
    return rules;
}

bool outbound_rules::allows_host(std::string_view host, std::uint16_t port) const {
    constexpr std::uint16_t plain = 80;
    constexpr std::uint16_t tls = 443;
    auto name = lower(host);
    if (name.ends_with('.')) name.pop_back();
    return std::ranges::any_of(hosts_, [&](const host_rule& rule) {
        const bool fits = rule.is_any || name == rule.name ||
                          (rule.is_below && name.ends_with(rule.name) && name != rule.name);
        const bool is_usual = port == plain || port == tls;
        return fits && (rule.port == 0 ? is_usual : port == rule.port);
    });
}

bool outbound_rules::allows_address(const ip::address& address) const {
    if (is_public(address)) return true;
    const auto meant = without_wrapping(address);
    if (meant.is_v4()) return is_in_any(networks_v4_, meant.to_v4());
    return is_in_any(networks_v6_, meant.to_v6());
}

}  // namespace truffula::http
