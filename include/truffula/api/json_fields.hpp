#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace truffula::api {

/// What a field of a request may hold. Each kind has one C++ type (`kind_of`).
enum class json_kind : std::uint8_t {
    boolean,
    u32,
    i32,
    u64,
    i64,
    f32,
    text,
    text_list,
    f32_list,
    object,
    any,          ///< Kept as compact text.
    text_or_any,  ///< A string is decoded, anything else kept as compact text.
};

/// What absence and `null` mean (contract section 5).
enum class presence : std::uint8_t {
    required,   ///< Absence and `null` are refused.
    optional,   ///< `null` is absence.
    defaulted,  ///< Absence keeps the default, `null` is refused.
};

/// Any JSON value, as compact text with its keys in the order sent.
struct raw_json {
    std::string text;

    bool is_null() const noexcept { return text == "null"; }
};

/// A string, or another value as compact text with its keys in the order sent.
struct text_or_json {
    bool is_text = false;
    std::string text;
};

struct object_schema;

/// One field of a request: enough to read it, and to describe it in a document.
struct field {
    std::string_view name;
    json_kind kind;
    presence must;
    std::string_view about;  ///< For people.
    /// Where the value goes, in an owner of the type that the schema is for. Makes the value of
    /// an optional member.
    void* (*slot)(void* owner);
    const object_schema& (*object)();           ///< Of kind `object`: its own fields.
    std::span<const std::string_view> choices;  ///< Of kind `text`: all it may be; empty: any.
    std::string_view shape;  ///< A JSON Schema of what is read; empty: as its kind says.
};

/// The fields of one kind of object; others are ignored. At most 64.
struct object_schema {
    std::string_view name;
    std::span<const field> fields;
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
struct value_of {
    using type = T;
};
template <class T>
struct value_of<std::optional<T>> {
    using type = T;
};

template <class T>
struct member;
template <class Owner, class T>
struct member<T Owner::*> {
    using owner = Owner;
    using type = T;
    using value = typename value_of<T>::type;
};

template <auto Member, class Owner>
void* slot_of(void* owner) {
    using traits = member<decltype(Member)>;
    auto& value = static_cast<Owner*>(owner)->*Member;
    if constexpr (is_optional<typename traits::type>) {
        return &value.emplace();
    } else {
        return &value;
    }
}

template <class T>
constexpr json_kind kind_of() {
    if constexpr (std::is_same_v<T, bool>) return json_kind::boolean;
    if constexpr (std::is_same_v<T, std::uint32_t>) return json_kind::u32;
    if constexpr (std::is_same_v<T, std::int32_t>) return json_kind::i32;
    if constexpr (std::is_same_v<T, std::uint64_t>) return json_kind::u64;
    if constexpr (std::is_same_v<T, std::int64_t>) return json_kind::i64;
    if constexpr (std::is_same_v<T, float>) return json_kind::f32;
    if constexpr (std::is_same_v<T, std::string>) return json_kind::text;
    if constexpr (std::is_same_v<T, std::vector<std::string>>) return json_kind::text_list;
    if constexpr (std::is_same_v<T, std::vector<float>>) return json_kind::f32_list;
    if constexpr (std::is_same_v<T, raw_json>) return json_kind::any;
    if constexpr (std::is_same_v<T, text_or_json>) return json_kind::text_or_any;
    return json_kind::object;
}

template <auto Member, class Owner = typename member<decltype(Member)>::owner>
constexpr field make_field(
    std::string_view name,
    presence must,
    std::string_view about,
    std::span<const std::string_view> choices,
    std::string_view shape = {}) {
    using value = typename member<decltype(Member)>::value;
    constexpr auto kind = kind_of<value>();
    const object_schema& (*object)() = nullptr;
    if constexpr (kind == json_kind::object) object = &value::schema;
    return {name, kind, must, about, &slot_of<Member, Owner>, object, choices, shape};
}

}  // namespace detail

/// A field that must be there.
template <auto Member>
constexpr field required_field(
    std::string_view name, std::string_view about, std::span<const std::string_view> choices = {}) {
    return detail::make_field<Member>(name, presence::required, about, choices);
}

/// The same with the shape of what is read.
template <auto Member>
constexpr field required_field(
    std::string_view name, std::string_view about, std::string_view shape) {
    return detail::make_field<Member>(name, presence::required, about, {}, shape);
}

/// A field that may be left out: optional if the member is, else the member's initial value counts.
template <auto Member>
constexpr field optional_field(
    std::string_view name, std::string_view about, std::string_view shape = {}) {
    using type = typename detail::member<decltype(Member)>::type;
    constexpr auto must = detail::is_optional<type> ? presence::optional : presence::defaulted;
    return detail::make_field<Member>(name, must, about, {}, shape);
}

/// The same for a member of a base of `Owner`, which the schema is for.
template <class Owner, auto Member>
constexpr field inherited_field(
    std::string_view name, std::string_view about, std::string_view shape = {}) {
    using type = typename detail::member<decltype(Member)>::type;
    static_assert(detail::is_optional<type>, "absence must be told from a value");
    return detail::make_field<Member, Owner>(name, presence::optional, about, {}, shape);
}

}  // namespace truffula::api
