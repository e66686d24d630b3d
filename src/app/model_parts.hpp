#pragma once

#include "truffula/api/native.hpp"
#include "truffula/text/model_files.hpp"

#include <memory>
#include <optional>

namespace truffula::app {

// What the model's files give the router. Where a file is missing or broken, the part is missing,
// with a warning that says what follows.

/// The model's tokenizer.
std::shared_ptr<const api::encoder> load_encoder(const text::model_files& files);

/// How the model sees images; nothing for one that does not, or without a tokenizer to count with.
std::shared_ptr<const api::vision> load_vision(const text::model_files& files, bool has_encoder);

/// The model's chat templates.
std::optional<text::chat_template> load_chat_template(const text::model_files& files);

/// Those of adapters in `folder`; nothing if it is empty.
///
/// \errors `errc::invalid_config`: it is no folder.
result<std::shared_ptr<text::adapter_templates>> open_adapter_templates(
    const std::string& folder, const text::model_files& files);

}  // namespace truffula::app
