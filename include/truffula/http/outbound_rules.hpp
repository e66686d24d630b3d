#pragma once

#include "truffula/error/error.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::http {

/// True for addresses that belong to the public internet: none that is private, of this machine or
/// link, of documentation, multicast or reserved. An IPv6 address that stands for one of IPv4
/// (mapped, NAT64) is judged as that one. Pure.
bool is_public(const boost::asio::ip::address& address);

/// Which hosts the router may fetch from when a client says so. Pure. \threads any may read it.
class outbound_rules {
public:
    /// Allows nothing.
    outbound_rules() = default;

    /// \param hosts names as in a URL: `example.com`, `*.example.com` (any below it), `*` (any); an
    ///        IP address, in brackets if IPv6. With `:port` for that port only, else 80 and 443.
    /// \param networks beside the public internet: `10.1.0.0/16`, `fd00::/8`.
    /// \errors `errc::invalid_config` naming the entry.
    static result<outbound_rules> read(
        const std::vector<std::string>& hosts, const std::vector<std::string>& networks);

    bool is_empty() const noexcept { return hosts_.empty(); }

    /// May a URL name this? Case does not matter.
    bool allows_host(std::string_view host, std::uint16_t port) const;

    /// May a connection go there? To be asked of the address that is connected to, whatever a name
    /// meant before.
    bool allows_address(const boost::asio::ip::address& address) const;

private:
    struct host_rule {
        std::string name;        ///< Lower case; of `*.example.com` what begins with the dot.
        bool is_any = false;     ///< `*`
        bool is_below = false;   ///< `*.example.com`
        std::uint16_t port = 0;  ///< 0: 80 and 443.
    };

    std::vector<host_rule> hosts_;
    std::vector<boost::asio::ip::network_v4> networks_v4_;
    std::vector<boost::asio::ip::network_v6> networks_v6_;
};

}  // namespace truffula::http
