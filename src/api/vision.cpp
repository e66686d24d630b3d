#include "truffula/api/vision.hpp"

#include "truffula/api/base64.hpp"
#include "truffula/api/image_header.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <map>

namespace truffula::api {
namespace {

using json = nlohmann::json;
using std::uint64_t;

constexpr std::string_view image_token = "<image>";
constexpr std::string_view fake_token = "<fake_token_around_image>";
constexpr std::string_view opening = "![](";
constexpr std::size_t max_query_bytes = 4U << 20U;  // many small images stand for much text

error invalid(std::string why) {
    return {errc::validation, std::move(why)};
}

std::string repeated(std::string_view what, uint64_t count) {
    std::string out;
    out.reserve(what.size() * count);
    for (uint64_t i = 0; i < count; ++i) out += what;
    return out;
}

/// A positive number at `path` that the model cannot do without.
result<uint64_t> number_at(const json& config, const std::string& path) {
    const auto at = json::json_pointer{path};
    const auto value = config.contains(at) ? config[at] : json{};
    constexpr uint64_t most = 1'000'000;
    if (value.is_number_unsigned() && value.get<uint64_t>() > 0 && value.get<uint64_t>() <= most) {
        return value.get<uint64_t>();
    }
    return error{errc::invalid_config, "config.json: " + path + " must be a positive number"};
}

std::string shortened(std::string_view text) {
    constexpr std::size_t most = 60;
    return text.size() <= most ? std::string{text} : std::string{text.substr(0, most)} + "…";
}

using sized_image = std::pair<inference::image, image_header>;

result<sized_image> read_file(std::string bytes) {
    const auto header = read_image_header(bytes);
    if (!header) return invalid("invalid image: it must be a PNG, JPEG, GIF or WebP file");
    if (uint64_t{header->width} * header->height > max_image_pixels) {
        return invalid(
            "invalid image: it must not have more than " + std::to_string(max_image_pixels) +
            " pixels. Given: " + std::to_string(header->width) + " x " +
            std::to_string(header->height));
    }
    inference::image image{std::move(bytes), std::string{header->mime_type}};
    return sized_image{std::move(image), *header};
}

/// The image of a data URI, and its size.
result<sized_image> read_data_uri(std::string_view uri) {
    const auto content = uri.substr(std::string_view{"data:"}.size());
    constexpr std::string_view coding = "base64,";
    const auto semicolon = content.find(';');
    const bool is_one =
        semicolon != content.npos && content.find(';', semicolon + 1) == content.npos;
    if (!is_one || !content.substr(semicolon + 1).starts_with(coding)) {
        return invalid("invalid image content: " + shortened(content));
    }
    auto bytes = read_base64(content.substr(semicolon + 1 + coding.size()));
    if (!bytes) {
        return invalid("base64 encoding is invalid: it must be canonical and padded (RFC 4648)");
    }
    return read_file(std::move(*bytes));
}

bool is_remote(std::string_view uri) {
    return uri.starts_with("http://") || uri.starts_with("https://");
}

result<sized_image> read_image(std::string_view uri, const fetched_images& fetched) {
    if (uri.starts_with("data:")) return read_data_uri(uri);
    if (is_remote(uri)) {
        const auto found = fetched.find(uri);
        if (found != fetched.end()) return read_file(found->second);
        return invalid(
            "Could not fetch image: this router fetches no images "
            "(server.remote_image_hosts); send it as data:image/…;base64,…");
    }
    return invalid("invalid image content: " + shortened(uri));
}

/// Where the next image of a prompt is.
struct image_mark {
    std::size_t begin = 0;  ///< Of `![](`.
    std::size_t end = 0;    ///< After `)`.
    std::string_view uri;
};

std::optional<image_mark> find_image(std::string_view inputs) {
    const auto begin = inputs.find(opening);
    const auto close = begin == inputs.npos ? inputs.npos : inputs.find(')', begin);
    if (close == inputs.npos) return std::nullopt;
    const auto from = begin + opening.size();
    return image_mark{begin, close + 1, inputs.substr(from, close - from)};
}

/// Neighbouring images share the token between them.
std::string join_fake_tokens(std::string text) {
    const auto twice = repeated(fake_token, 2);
    for (auto at = text.find(twice); at != text.npos;
         at = text.find(twice, at + fake_token.size())) {
        text.erase(at, fake_token.size());
    }
    return text;
}

}  // namespace

result<std::shared_ptr<const vision>> vision::read(
    std::string_view config_text, std::string_view preprocessor_text) {
    const auto config = json::parse(config_text, nullptr, false);
    if (!config.is_object() || !config.contains("model_type"))
        return std::shared_ptr<const vision>{};
    static const std::map<std::string, kind> kinds{
        {"mllama", kind::mllama},
        {"idefics", kind::idefics},
        {"idefics2", kind::idefics2},
        {"paligemma", kind::paligemma},
        {"llava_next", kind::llava_next}};
    const auto& type = config["model_type"];
    const auto found = type.is_string() ? kinds.find(type.get<std::string>()) : kinds.end();
    if (found == kinds.end()) return std::shared_ptr<const vision>{};
    auto made = std::make_shared<vision>();
    made->kind_ = found->second;
    if (made->kind_ == kind::idefics2) {
        const auto preprocessor = json::parse(preprocessor_text, nullptr, false);
        made->splits_images_ =
            preprocessor.is_object() && preprocessor.value("do_image_splitting", json{}) == true;
    } else if (made->kind_ == kind::paligemma) {
        const auto tokens = number_at(config, "/text_config/num_image_tokens");
        if (!tokens) return tokens.error();
        made->image_tokens_ = *tokens;
    } else if (made->kind_ == kind::llava_next) {
        const auto image = number_at(config, "/vision_config/image_size");
        if (!image) return image.error();
        const auto patch = number_at(config, "/vision_config/patch_size");
        if (!patch) return patch.error();
        made->image_size_ = *image;
        made->patches_ = *image / *patch;
        const auto points = config.value("image_grid_pinpoints", json::array());
        for (const auto& p : points) {
            const bool is_pair = p.is_array() && p.size() == 2 && p[0].is_number_unsigned() &&
                                 p[1].is_number_unsigned();
            if (!is_pair) {
                return error{
                    errc::invalid_config, "config.json: /image_grid_pinpoints must be pairs"};
            }
            made->pinpoints_.emplace_back(p[0].get<uint64_t>(), p[1].get<uint64_t>());
        }
        if (*image % *patch != 0) {
            return error{
                errc::invalid_config,
                "config.json: /vision_config/image_size must be a multiple of patch_size"};
        }
    }
    return std::shared_ptr<const vision>{std::move(made)};
}

/// The tile grid's resolution that shows most of the image and wastes least.
vision::size vision::best_resolution(uint64_t height, uint64_t width) const {
    size best{height, width};
    uint64_t most_shown = 0;
    uint64_t least_wasted = std::numeric_limits<uint64_t>::max();
    for (const auto& [h, w] : pinpoints_) {
        const auto scale = std::min(
            static_cast<float>(w) / static_cast<float>(width),
            static_cast<float>(h) / static_cast<float>(height));
        const auto scaled_width = static_cast<uint64_t>(static_cast<float>(width) * scale);
        const auto scaled_height = static_cast<uint64_t>(static_cast<float>(height) * scale);
        const auto shown = std::min(scaled_width * scaled_height, width * height);
        const auto wasted = h * w > shown ? h * w - shown : 0;
        if (shown > most_shown || (shown == most_shown && wasted < least_wasted)) {
            most_shown = shown;
            least_wasted = wasted;
            best = {h, w};
        }
    }
    return best;
}

/// Patches of the tiles without the padding around the image, one newline for each of their rows,
/// and those of the whole image on one tile.
uint64_t vision::llava_features(uint64_t height, uint64_t width) const {
    const auto [best_height, best_width] = best_resolution(height, width);
    // Their sides are swapped as in the model's own code, which shards count with.
    auto columns = patches_ * (best_height / image_size_);
    auto rows = patches_ * (best_width / image_size_);
    if (rows > 0 && columns > 0) {
        if (width * rows > columns * height) {
            const auto used = height * columns / width;
            rows -= (rows - std::min(rows, used)) / 2 * 2;
        } else {
            const auto used = width * rows / height;
            columns -= (columns - std::min(columns, used)) / 2 * 2;
        }
    }
    return rows * columns + rows + patches_ * patches_;
}

std::string vision::tokens(std::uint32_t width, std::uint32_t height) const {
    constexpr uint64_t idefics2_features = 64;
    constexpr uint64_t idefics2_parts = 5;  // four quarters and the whole
    switch (kind_) {
        case kind::mllama: return "<|image|>";
        case kind::idefics: return std::string{image_token};
        case kind::paligemma: return repeated(image_token, image_tokens_);
        case kind::llava_next: return repeated(image_token, llava_features(height, width));
        case kind::idefics2: break;
    }
    std::string one{fake_token};
    one += repeated(image_token, idefics2_features);
    one += fake_token;
    return splits_images_ ? repeated(one, idefics2_parts) : one;
}

std::vector<std::string> vision::remote_images(std::string_view inputs) const {
    std::vector<std::string> urls;
    while (const auto mark = find_image(inputs)) {
        if (is_remote(mark->uri)) urls.emplace_back(mark->uri);
        inputs.remove_prefix(mark->end);
    }
    return urls;
}

result<std::optional<image_prompt>> vision::split(
    std::string_view inputs, const fetched_images& fetched) const {
    image_prompt prompt;
    bool has_images = false;
    const auto add_text = [&prompt](std::string_view text) {
        if (text.empty()) return;
        prompt.query += text;
        prompt.chunks.emplace_back(std::string{text});
    };
    while (const auto mark = find_image(inputs)) {
        add_text(inputs.substr(0, mark->begin));
        auto image = read_image(mark->uri, fetched);
        if (!image) return image.error();
        prompt.query += tokens(image->second.width, image->second.height);
        prompt.chunks.emplace_back(std::move(image->first));
        has_images = true;
        if (prompt.query.size() > max_query_bytes) {
            return invalid("`inputs` has more images than any prompt may have");
        }
        inputs.remove_prefix(mark->end);
    }
    if (!has_images) return std::optional<image_prompt>{};
    add_text(inputs);
    if (kind_ == kind::idefics2) prompt.query = join_fake_tokens(std::move(prompt.query));
    return std::optional{std::move(prompt)};
}

}  // namespace truffula::api
