#include "api/docs_page/page.hpp"

#include <array>

namespace truffula::api {

#ifdef TRUFFULA_DOCS_PAGE

// The files of the npm package, put into the binary by the assembler.
// NOLINTNEXTLINE(hicpp-no-assembler)
asm(".section .rodata\n"
    ".global truffula_docs_script\ntruffula_docs_script:\n"
    ".incbin \"" TRUFFULA_DOCS_PAGE
    "/swagger-ui-bundle.js\"\n"
    ".global truffula_docs_script_end\ntruffula_docs_script_end:\n"
    ".global truffula_docs_style\ntruffula_docs_style:\n"
    ".incbin \"" TRUFFULA_DOCS_PAGE
    "/swagger-ui.css\"\n"
    ".global truffula_docs_style_end\ntruffula_docs_style_end:\n"
    ".text\n");

extern "C" {
extern const char truffula_docs_script[];
extern const char truffula_docs_script_end[];
extern const char truffula_docs_style[];
extern const char truffula_docs_style_end[];
}

namespace {

constexpr std::string_view index_page =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<title>Truffula API</title>\n<link rel=\"icon\" href=\"data:,\">\n"
    "<link rel=\"stylesheet\" href=\"swagger-ui.css\">\n</head>\n<body>\n"
    "<div id=\"page\"></div>\n<script src=\"swagger-ui-bundle.js\"></script>\n"
    "<script src=\"start.js\"></script>\n</body>\n</html>\n";

// Without a validator: it would send the document to another host.
constexpr std::string_view start_script =
    "SwaggerUIBundle({url: '/api-doc/openapi.json', dom_id: '#page', validatorUrl: null,\n"
    "                 deepLinking: true, supportedSubmitMethods: ['get', 'post']});\n";

std::string_view between(const char* first, const char* last) {
    return {first, static_cast<std::size_t>(last - first)};
}

}  // namespace

std::span<const docs_page_file> docs_page_files() {
    constexpr std::string_view script_type = "text/javascript; charset=utf-8";
    static const std::array<docs_page_file, 5> files{{
        {"", "text/html; charset=utf-8", index_page},
        {"index.html", "text/html; charset=utf-8", index_page},
        {"start.js", script_type, start_script},
        {"swagger-ui-bundle.js",
         script_type,
         between(truffula_docs_script, truffula_docs_script_end)},
        {"swagger-ui.css",
         "text/css; charset=utf-8",
         between(truffula_docs_style, truffula_docs_style_end)},
    }};
    return files;
}

#else

std::span<const docs_page_file> docs_page_files() {
    return {};
}

#endif

}  // namespace truffula::api
