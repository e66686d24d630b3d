#pragma once

#include "truffula/api/native.hpp"
#include "truffula/config/settings.hpp"
#include "truffula/telemetry/registry.hpp"
#include "truffula/text/model_files.hpp"

#include <memory>
#include <optional>

namespace truffula::app {

// What the model's files give the router. Where a file is missing or broken, the part is missing,
// with a warning that says what follows.

/// The model's files on this machine.
text::model_files find_files(const config::settings& s);

/// The model's tokenizer.
std::shared_ptr<const api::encoder> load_encoder(const text::model_files& files);

/// How the model sees images; nothing for one that does not, or without a tokenizer to count with.
std::shared_ptr<const api::vision> load_vision(const text::model_files& files, bool has_encoder);

/// What fetches images by URL; nothing unless `server.remote_image_hosts` names hosts.
///
/// \errors `errc::invalid_config`: an entry that is no host or network.
result<std::shared_ptr<http::fetcher>> make_image_fetcher(const config::settings& s);

/// How images are fetched `by` it, and counted.
api::image_fetching image_fetching(
    const config::settings& s, std::shared_ptr<http::fetcher> by, telemetry::registry& metrics);

/// The model's chat templates.
std::optional<text::chat_template> load_chat_template(const text::model_files& files);

/// Those of adapters in `folder`; nothing if it is empty.
///
/// \errors `errc::invalid_config`: it is no folder.
result<std::shared_ptr<text::adapter_templates>> open_adapter_templates(
    const std::string& folder, const text::model_files& files);

}  // namespace truffula::app
