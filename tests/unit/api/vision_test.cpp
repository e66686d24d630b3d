#include "truffula/api/vision.hpp"

#include "support/run_coro.hpp"
#include "truffula/api/base64.hpp"
#include "truffula/api/image_header.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace truffula;
using api::read_image_header;
using api::vision;
using namespace std::string_literals;

namespace {

std::string big32(std::uint32_t n) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 255U);
    return out;
}

std::string png(std::uint32_t width, std::uint32_t height) {
    return "\x89PNG\r\n\x1A\n"s + big32(13) + "IHDR" + big32(width) + big32(height) + "\x08\x02";
}

std::string jpeg() {
    return "\xFF\xD8"s + "\xFF\xE0\x00\x04JF"s + "\xFF\xFF\xC4\x00\x03x"s +
           "\xFF\xC2\x00\x11\x08\x01\x02\x03\x04"s;
}

std::string webp(const std::string& chunk) {
    return "RIFF\0\0\0\0WEBP"s + chunk;
}

std::string markdown(const std::string& bytes, const std::string& type = "image/png") {
    std::string text = "![](data:" + type + ";base64,";
    api::append_base64(text, std::string_view{bytes});
    return text + ")";
}

std::shared_ptr<const vision> model(const std::string& config, const std::string& more = "") {
    auto found = vision::read(config, more);
    REQUIRE(found);
    REQUIRE(*found);
    return *found;
}

std::string refusal(const vision& how, const std::string& inputs) {
    const auto got = how.split(inputs);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::validation);
    return got.error().detail;
}

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++n;
    return n;
}

constexpr auto llava =
    R"({"model_type":"llava_next","vision_config":{"image_size":336,"patch_size":14},)"
    R"("image_grid_pinpoints":[[336,672],[672,336],[672,672],[1008,336],[336,1008]]})";

}  // namespace

TEST_CASE("image header: type and size of each format", "[api]") {
    const auto check = [](const std::string& bytes,
                          std::string_view type,
                          std::uint32_t width,
                          std::uint32_t height) {
        const auto found = read_image_header(bytes);
        REQUIRE(found);
        CHECK(found->mime_type == type);
        CHECK(found->width == width);
        CHECK(found->height == height);
        for (std::size_t n = 0; n + 2 < bytes.size(); ++n) {
            // What is cut off tells nothing, or the same.
            const auto part = read_image_header(std::string_view{bytes}.substr(0, n));
            if (part) CHECK((part->width == width && part->height == height));
        }
    };
    check(png(640, 480), "image/png", 640, 480);
    check(jpeg(), "image/jpeg", 0x0304, 0x0102);
    check("GIF89a\x02\x01\x04\x03"s, "image/gif", 0x0102, 0x0304);
    check(webp("VP8 \0\0\0\0\0\0\0\x9D\x01\x2A\x02\xC1\x04\x03"s), "image/webp", 0x0102, 0x0304);
    check(webp("VP8L\0\0\0\0\x2F\xFF\xC0\x03\x00"s), "image/webp", 256, 16);
    check(webp("VP8X\0\0\0\0\0\0\0\0\x01\x00\x00\x02\x01\x00"s), "image/webp", 2, 259);
}

TEST_CASE("image header: what is no image", "[api]") {
    CHECK_FALSE(read_image_header(""));
    CHECK_FALSE(read_image_header("hello, this is text, not an image"));
    CHECK_FALSE(read_image_header(png(0, 5)));
    CHECK_FALSE(read_image_header("\xFF\xD8\xFF\xD9"));
    CHECK_FALSE(read_image_header("\xFF\xD8\xFF\xE0\x00\x00\xFF\xE0\x00\x00"s));
    CHECK_FALSE(read_image_header(webp("VP8 \0\0\0\0\0\0\0\x9D\x01\x2B\x02\xC1\x04\x03"s)));
    CHECK_FALSE(read_image_header(webp("ABCD\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s)));
}

TEST_CASE("image header: no bytes do harm", "[api]") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const std::vector<std::string> starts{
        png(1, 1), jpeg(), "GIF89a", webp("VP8 "), webp("VP8L"), webp("VP8X"), "\xFF\xD8\xFF", ""};
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = starts[random() % starts.size()];
        for (auto n = random() % 40; n > 0; --n) bytes += static_cast<char>(random());
        if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
        const auto found = read_image_header(bytes);
        if (found) CHECK((found->width > 0 && found->height > 0));
    }
}

TEST_CASE("vision: models that read text only have none", "[api]") {
    for (const auto* const config :
         {"", "no json", "[]", "{}", R"({"model_type":"llama"})", R"({"model_type":7})"}) {
        CAPTURE(config);
        const auto found = vision::read(config, "");
        REQUIRE(found);
        CHECK_FALSE(*found);
    }
}

TEST_CASE("vision: a file that lacks what is needed is an error", "[api]") {
    for (const auto* const config :
         {R"({"model_type":"paligemma"})",
          R"({"model_type":"paligemma","text_config":{"num_image_tokens":0}})",
          R"({"model_type":"llava_next"})",
          R"({"model_type":"llava_next","vision_config":{"image_size":336,"patch_size":100}})",
          R"({"model_type":"llava_next","vision_config":{"image_size":336,"patch_size":14},)"
          R"("image_grid_pinpoints":[[1]]})"}) {
        CAPTURE(config);
        const auto found = vision::read(config, "");
        REQUIRE(found.has_error());
        CHECK(found.error().code == errc::invalid_config);
    }
}

TEST_CASE("vision: what stands for an image", "[api]") {
    CHECK(model(R"({"model_type":"mllama"})")->tokens(9, 9) == "<|image|>");
    CHECK(model(R"({"model_type":"idefics"})")->tokens(9, 9) == "<image>");
    const auto gemma = R"({"model_type":"paligemma","text_config":{"num_image_tokens":256}})";
    CHECK(count(model(gemma)->tokens(9, 9), "<image>") == 256);
    const auto whole = model(R"({"model_type":"idefics2"})")->tokens(9, 9);
    CHECK(count(whole, "<image>") == 64);
    CHECK(count(whole, "<fake_token_around_image>") == 2);
    const auto parts =
        model(R"({"model_type":"idefics2"})", R"({"do_image_splitting":true})")->tokens(9, 9);
    CHECK(count(parts, "<image>") == 320);
}

TEST_CASE("vision: tokens of llava_next follow the image's shape", "[api]") {
    const auto how = model(llava);
    const auto tokens = [&](std::uint32_t height, std::uint32_t width) {
        return count(how->tokens(width, height), "<image>");
    };
    // As public implementations count for the 1.6 models.
    CHECK(tokens(20, 20) == 1176);
    CHECK(tokens(640, 640) == 2928);
    CHECK(tokens(480, 640) == 2340);
    CHECK(tokens(899, 1024) == 2634);
    CHECK(tokens(1024, 899) == 2640);
    CHECK(tokens(1067, 1600) == 2144);
    CHECK(tokens(1, 65535) >= 576);
    CHECK(tokens(65535, 1) >= 576);
}

TEST_CASE("vision: a prompt is split at its images", "[api]") {
    const auto how = model(R"({"model_type":"mllama"})");
    const auto got = how->split("See " + markdown(png(5, 6)) + markdown(jpeg()) + " and say.");
    REQUIRE(got);
    REQUIRE(*got);
    const auto& prompt = **got;
    CHECK(prompt.query == "See <|image|><|image|> and say.");
    REQUIRE(prompt.chunks.size() == 4);
    CHECK(std::get<std::string>(prompt.chunks[0]) == "See ");
    CHECK(std::get<inference::image>(prompt.chunks[1]).bytes == png(5, 6));
    CHECK(std::get<inference::image>(prompt.chunks[1]).mime_type == "image/png");
    CHECK(std::get<inference::image>(prompt.chunks[2]).mime_type == "image/jpeg");
    CHECK(std::get<std::string>(prompt.chunks[3]) == " and say.");
    for (const auto* const text : {"", "no image", "![](", "[](data:)", "![alt](data:x)"}) {
        const auto none = how->split(text);
        REQUIRE(none);
        CHECK_FALSE(*none);
    }
}

TEST_CASE("vision: neighbours of idefics2 share a token", "[api]") {
    const auto how = model(R"({"model_type":"idefics2"})");
    const auto got = how->split(markdown(png(5, 6)) + markdown(png(5, 6)) + "x");
    REQUIRE(got);
    REQUIRE(*got);
    CHECK(count((*got)->query, "<image>") == 128);
    CHECK(count((*got)->query, "<fake_token_around_image>") == 3);
}

TEST_CASE("vision: what is refused says why", "[api]") {
    const auto how = model(R"({"model_type":"mllama"})");
    const auto has = [&](const std::string& inputs, const std::string& words) {
        const auto why = refusal(*how, inputs);
        INFO(why);
        CHECK(why.find(words) != std::string::npos);
    };
    has("![](https://example.com/a.png)", "fetches no images");
    has("![](http://169.254.169.254/)", "fetches no images");
    has("![](file:///etc/passwd)", "invalid image content");
    has("![]()", "invalid image content");
    has("![](data:image/png,abc)", "invalid image content");
    has("![](data:image/png;charset=x;base64,abcd)", "invalid image content");
    has("![](data:image/png;base64,ab)", "base64 encoding is invalid");
    has("![](data:image/png;base64,a b=)", "base64 encoding is invalid");
    has("![](data:image/png;base64,)", "invalid image: ");
    has(markdown("hello"), "invalid image: ");
    has(markdown(png(9460, 9459)), "89478485");
    CHECK(how->split(markdown(png(9459, 9459))).has_value());
    const auto many = model(llava);
    std::string inputs;
    for (int i = 0; i < 600; ++i) inputs += markdown(png(1000, 1000));
    CHECK(refusal(*many, inputs).find("more images") != std::string::npos);
}

TEST_CASE("vision: images elsewhere are those that were fetched", "[api]") {
    const auto how = model(R"({"model_type":"mllama"})");
    const std::string inputs = "a ![](https://x/1.png) b ![](http://x/2) ![](data:,) ![](ftp://x)";
    CHECK(how->remote_images(inputs) == std::vector<std::string>{"https://x/1.png", "http://x/2"});
    CHECK(how->remote_images("![](https://x/open").empty());
    const auto file = png(3, 4);
    const auto got = how->split("a ![](https://x/1.png)", {{"https://x/1.png", file}});
    REQUIRE(got);
    REQUIRE(*got);
    CHECK((*got)->query == "a <|image|>");
    REQUIRE((*got)->chunks.size() == 2);
    CHECK(std::get<inference::image>((*got)->chunks[1]).bytes == file);
    const auto none = how->split("![](https://x/1.png)", {{"https://x/1.png", "<html>"}});
    REQUIRE(none.has_error());
    CHECK(none.error().detail.starts_with("invalid image: "));
    CHECK(how->split("![](https://x/2.png)", {{"https://x/1.png", file}}).has_error());
}
