// Health (contract section 13): judged over all shards, never beside a call that computes.
#include "batching/engine_core.hpp"

#include <utility>

namespace truffula::batching {

/// After a good inference call an RPC suffices; else the loop makes a dummy request.
void engine_core::probe_health(reply<void> to) {
    const error unhealthy{errc::unhealthy, "unhealthy"};
    if (!is_live() || !group_) {
        to.send(unhealthy);
    } else if (last_inference_succeeded_.value_or(false)) {
        spawn_beside(probe(shared_from_this(), std::move(to)));
    } else {
        probes_.push_back(std::move(to));
        work_.try_send(boost::system::error_code{});
    }
}

asio::awaitable<void> engine_core::probe(std::shared_ptr<engine_core> self, reply<void> to) {
    const auto group = self->group_;
    auto answer = co_await group->health();
    if (!answer) self->note_connection(answer.error());
    to.send(std::move(answer));
}

/// One dummy request of each kind that the model serves answers all who wait.
asio::awaitable<void> engine_core::serve_probes() {
    if (probes_.empty() || !is_connected_) co_return;
    result<> answer = error{errc::unhealthy, "unhealthy"};
    const auto group = group_;
    const auto model = facts().model;
    const std::pair<bool, inference::task> kinds[] = {
        {model.supports_generation, inference::task::generate},
        {model.supports_classification, inference::task::classify},
        {model.supports_embeddings, inference::task::embed}};
    for (const auto& [is_served, kind] : kinds) {
        if (!is_served) continue;
        answer = co_await group->health_request(kind);
        if (!answer) break;
    }
    last_inference_succeeded_ = answer.has_value();
    if (!answer) note_connection(answer.error());
    for (auto& p : std::exchange(probes_, {})) p.send(answer);
}

}  // namespace truffula::batching
