#pragma once

#include "api/json_sink.hpp"
#include "truffula/api/read_json.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api {

/// The events of nlohmann's parser, put into a struct by its schema. Every event answers whether
/// to go on; `failure` says why not.
class json_reader : public nlohmann::json_sax<nlohmann::json> {
public:
    json_reader(const object_schema& schema, void* target) : root_(schema), target_(target) {}

    bool null() override;
    bool boolean(bool value) override;
    bool number_integer(number_integer_t value) override;
    bool number_unsigned(number_unsigned_t value) override;
    bool number_float(number_float_t value, const string_t& digits) override;
    bool string(string_t& value) override;
    bool binary(binary_t&) override { return false; }  // does not occur in text
    bool start_object(std::size_t) override;
    bool key(string_t& name) override;
    bool end_object() override;
    bool start_array(std::size_t) override;
    bool end_array() override;
    bool parse_error(
        std::size_t position,
        const std::string& last_token,
        const nlohmann::detail::exception& what) override;

    const std::optional<rejection>& failure() const noexcept { return failure_; }

private:
    struct frame {
        const object_schema* schema;
        void* owner;
        const field* current = nullptr;  // none: a key that the schema does not name
        std::uint64_t seen = 0;          // bit i: field i was given
    };

    // Where the parser is.
    bool inside_other() const noexcept { return other_depth_ > 0; }
    bool is_ignored() const noexcept { return !frames_.empty() && !frames_.back().current; }
    const field* current() const noexcept {
        return frames_.empty() ? nullptr : frames_.back().current;
    }

    json_kind scalar_kind() const;
    bool open_other(char bracket, std::string* keep);
    bool close_other(char bracket);
    bool keep_any(std::string_view literal);
    bool may_go_deeper();
    bool store_integer(std::int64_t value, std::uint64_t magnitude, bool is_negative);
    bool store_float(double value, std::string_view digits);
    template <class T>
    void store(T value);

    std::string path() const;
    bool refuse(std::string reason);
    bool mismatch(std::string_view found);

    const object_schema& root_;
    void* target_;
    std::vector<frame> frames_;
    void* list_ = nullptr;         // the list being read, of the current field
    std::size_t list_at_ = 0;      // index in it
    std::size_t other_depth_ = 0;  // inside a value that is kept as text, or ignored
    json_sink sink_;
    std::optional<rejection> failure_;
};

}  // namespace truffula::api
