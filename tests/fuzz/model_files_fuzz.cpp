// A model's config.json and preprocessor_config.json, and prompts with images in them.
#include "fuzz_target.hpp"
#include "truffula/api/base64.hpp"
#include "truffula/api/image_header.hpp"
#include "truffula/api/vision.hpp"

using namespace truffula;

namespace {

std::shared_ptr<const api::vision> known_model() {
    static const auto made = api::vision::read(R"({"model_type":"idefics2"})", {});
    return *made;
}

void split(const api::vision& model, std::string_view prompt) {
    const auto got = model.split(prompt);
    if (got && *got && (*got)->chunks.empty()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = as_text(data, size);
    const auto header = api::read_image_header(input);
    if (header && (header->width == 0 || header->height == 0)) __builtin_trap();
    if (const auto bytes = api::read_base64(input)) {
        std::string again;
        api::append_base64(again, *bytes);
        if (again != input) __builtin_trap();
    }
    split(*known_model(), input);
    std::string image;
    api::append_base64(image, input);
    split(*known_model(), "x ![](data:image/png;base64," + image + ") y");
    if (const auto model = api::vision::read(input, input); model && *model) {
        for (const std::uint32_t side : {1U, 333U, 9000U}) (void)(*model)->tokens(side, 9000);
    }
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    using namespace std::string_literals;
    return {
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0"s,
        "GIF89a\x02\0\x03\0\0\0\0"s,
        "\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08\0\x03\0\x02\x03"s,
        "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x01\x80\0\0"s,
        "RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x01\0\0\x02\0\0"s,
        "see ![](data:image/gif;base64,R0lGODlhAgADAAAAAA==) and ![](http://x/y.png)",
        R"({"model_type":"llava_next","vision_config":{"image_size":336,"patch_size":14},)"
        R"("image_grid_pinpoints":[[336,672],[672,336]]})",
        R"({"model_type":"paligemma","text_config":{"num_image_tokens":256}})",
        R"({"model_type":"idefics2","do_image_splitting":true})",
    };
}
