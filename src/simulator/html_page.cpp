#include "simulator/html_page.hpp"

#include "simulator/svg.hpp"

#include <ostream>

namespace truffula::simulator {
namespace {

constexpr auto style = R"(
:root { color-scheme: light dark; --back:#fff; --card:#f6f7f9; --text:#1c2024; --soft:#60646c;
  --grid:#e3e5e9; --axis:#9aa0a8; --blue:#2563c9; --pale:#a9c4f5; --orange:#c2570c; --green:#1d7a4d; }
@media (prefers-color-scheme: dark) { :root { --back:#14161a; --card:#1d2026; --text:#e8eaed;
  --soft:#a0a6b0; --grid:#2c3038; --axis:#6b7280; --blue:#7fb0ff; --pale:#35548c; --orange:#ffab66;
  --green:#69d3a0; } }
body { margin:0 auto; max-width:60rem; padding:1.5rem; background:var(--back); color:var(--text);
  font:16px/1.5 system-ui, sans-serif; }
h1 { font-size:1.35rem; margin:0 0 1rem; } h2 { font-size:1.05rem; margin:2rem 0 .2rem; }
p { margin:.2rem 0 .6rem; color:var(--soft); font-size:.9rem; }
.tiles { display:grid; grid-template-columns:repeat(auto-fill,minmax(11rem,1fr)); gap:.6rem; }
.tiles div { background:var(--card); border-radius:.5rem; padding:.6rem .8rem; }
.tiles b { display:block; font-size:1.15rem; font-weight:600; } .tiles span { color:var(--soft); font-size:.8rem; }
svg { width:100%; height:auto; display:block; }
.grid { stroke:var(--grid); } .axis { stroke:var(--axis); }
.line { fill:none; stroke-width:1.6; stroke-linejoin:round; } .area { opacity:.55; }
.tick { fill:var(--soft); font-size:11px; } .name { fill:var(--soft); font-size:12px; }
.scroll { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-size:.85rem; font-variant-numeric:tabular-nums; }
th,td { text-align:right; padding:.25rem .6rem; border-bottom:1px solid var(--grid); }
th { color:var(--soft); font-weight:500; } th:first-child,td:first-child { text-align:left; }
)";

}  // namespace

void write_page(std::ostream& to, const std::string& title, const std::string& body) {
    to << "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>"
       << escape(title) << "</title>\n<style>" << style << "</style>\n</head>\n<body>\n<h1>"
       << escape(title) << "</h1>\n"
       << body << "</body>\n</html>\n";
}

std::string figure(const std::string& heading, const std::string& text, const std::string& svg) {
    return "<h2>" + escape(heading) + "</h2>\n<p>" + text + "</p>\n" + svg;
}

std::string tiles(const std::vector<std::pair<std::string, std::string>>& figures) {
    std::string html = "<div class=\"tiles\">\n";
    for (const auto& [name, value] : figures) {
        html += "<div><b>" + escape(value) + "</b><span>" + escape(name) + "</span></div>\n";
    }
    return html + "</div>\n";
}

std::string table(
    const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
    std::string html = "<div class=\"scroll\"><table>\n<tr>";
    for (const auto& cell : head) html += "<th>" + escape(cell) + "</th>";
    html += "</tr>\n";
    for (const auto& row : rows) {
        html += "<tr>";
        for (const auto& cell : row) html += "<td>" + escape(cell) + "</td>";
        html += "</tr>\n";
    }
    return html + "</table></div>\n";
}

}  // namespace truffula::simulator
