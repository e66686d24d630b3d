#include "api/fetch_images.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace truffula::api {

boost::asio::awaitable<result<fetched_images>> fetch_images(
    shared_services with, const std::string& inputs) {
    fetched_images images;
    const auto& how = *with->remote_images;
    const auto deadline = std::chrono::steady_clock::now() + how.timeout;
    auto bytes_left = how.max_bytes;
    for (auto& url : with->vision->remote_images(inputs)) {
        if (images.contains(url)) continue;
        auto got = co_await how.by->get(url, bytes_left, deadline);
        how.counted(got.has_value());
        if (!got) {
            auto why = got.error();
            if (why.code == errc::validation) why.detail.insert(0, "Could not fetch image: ");
            co_return why;
        }
        bytes_left -= std::min(got->size(), bytes_left);
        images.emplace(std::move(url), std::move(*got));
    }
    co_return images;
}

}  // namespace truffula::api
