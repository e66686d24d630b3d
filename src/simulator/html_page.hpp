#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace truffula::simulator {

/// Writes a page that needs nothing but itself, readable in the light and in the dark.
///
/// \param body markup.
void write_page(std::ostream& to, const std::string& title, const std::string& body);

/// A plot under a heading, with a sentence that says how to read it, all as markup.
std::string figure(const std::string& heading, const std::string& text, const std::string& svg);

/// Figures beside each other, each with its name and unit.
std::string tiles(const std::vector<std::pair<std::string, std::string>>& figures);

/// A table; all columns but the first are numbers.
std::string table(
    const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

}  // namespace truffula::simulator
