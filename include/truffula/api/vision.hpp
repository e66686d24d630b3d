#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::api {

/// Pixels of an image at most: what shards' image library takes without a warning.
inline constexpr std::uint64_t max_image_pixels = 89'478'485;

/// A prompt with images.
struct image_prompt {
    std::string query;                           ///< What is tokenized and counted.
    std::vector<inference::input_chunk> chunks;  ///< What shards get, in order.
};

/// Images that were fetched, by their URLs.
using fetched_images = std::map<std::string, std::string, std::less<>>;

/// How a model sees images: which text stands for one in its prompt (contract section 6).
/// Pure. \threads any.
class vision {
public:
    /// Models of type `mllama`, `idefics`, `idefics2`, `paligemma` and `llava_next`; none for all
    /// others, which read text only.
    ///
    /// \param config, preprocessor text of `config.json` and `preprocessor_config.json`; may be
    ///        empty.
    /// \errors `errc::invalid_config` for a model of these whose file lacks what is needed.
    static result<std::shared_ptr<const vision>> read(
        std::string_view config, std::string_view preprocessor);

    /// Tokens' text for one image of that size (pixels).
    std::string tokens(std::uint32_t width, std::uint32_t height) const;

    /// URLs (http and https) of the images that a prompt names, in order.
    std::vector<std::string> remote_images(std::string_view inputs) const;

    /// Splits a prompt at its images, `![](data:…;base64,…)` or `![](https://…)`; nothing if it has
    /// none.
    ///
    /// \errors `errc::validation`: no strict base64, no image that is known, too many pixels, and
    /// URLs that are not among `fetched`.
    result<std::optional<image_prompt>> split(
        std::string_view inputs, const fetched_images& fetched = {}) const;

private:
    enum class kind : std::uint8_t { mllama, idefics, idefics2, paligemma, llava_next };
    using size = std::pair<std::uint64_t, std::uint64_t>;  // height, width

    std::uint64_t llava_features(std::uint64_t height, std::uint64_t width) const;
    size best_resolution(std::uint64_t height, std::uint64_t width) const;

    kind kind_ = kind::mllama;
    bool splits_images_ = false;      // idefics2
    std::uint64_t image_tokens_ = 0;  // paligemma
    std::uint64_t image_size_ = 1;    // llava_next: pixels of a tile's side
    std::uint64_t patches_ = 1;       // llava_next: of a tile's side
    std::vector<size> pinpoints_;     // llava_next
};

}  // namespace truffula::api
