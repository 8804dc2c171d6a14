// What the gate has measured, for the metrics: read at each scrape.
#include "addon/gate_measures.h"

namespace devlxd {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;

Napi::Object histogram_of(Napi::Env env, const Histogram& histogram) {
  Napi::Object result = Napi::Object::New(env);
  Napi::Array bounds = Napi::Array::New(env, Histogram::kBounds.size());
  Napi::Array counts = Napi::Array::New(env, histogram.counts().size());
  for (uint32_t i = 0; i < Histogram::kBounds.size(); i++) {
    bounds[i] = static_cast<double>(Histogram::kBounds[i]) / kNanosecondsPerSecond;
  }
  for (uint32_t i = 0; i < histogram.counts().size(); i++) {
    counts[i] = static_cast<double>(histogram.counts()[i]);
  }
  result["bounds"] = bounds;
  result["counts"] = counts;
  result["sum"] = static_cast<double>(histogram.sum()) / kNanosecondsPerSecond;
  return result;
}

Napi::Object refused_of(Napi::Env env, const RequestCounts& requests) {
  Napi::Object result = Napi::Object::New(env);
  const auto count = [&requests](HeadOutcome why) {
    return static_cast<double>(requests.refused_for(why));
  };
  result["badRequest"] = count(HeadOutcome::kBadRequest);
  result["tooLarge"] = count(HeadOutcome::kTooLarge);
  result["unknownCoding"] = count(HeadOutcome::kUnknownCoding);
  return result;
}

Napi::Object used_of(Napi::Env env, const Gate& gate) {
  const ConnectionsUsed used = gate.connections_used();
  Napi::Object result = Napi::Object::New(env);
  result["connections"] = gate.connections();
  result["connections-per-instance"] = used.most_of_instance;
  result["connections-nonroot"] = used.most_nonroot;
  result["connections-unregistered"] = used.unregistered;
  result["connections-unidentified"] = used.unidentified;
  result["connections-per-uid"] = used.most_of_uid;
  result["pending-callers"] = gate.pending_callers().size();
  return result;
}

}  // namespace

Napi::Array hits_array(Napi::Env env, const LimitHits& hits) {
  Napi::Array array = Napi::Array::New(env, kLimits);
  for (uint32_t i = 0; i < kLimits; i++) array[i] = static_cast<double>(hits.at_index(i));
  return array;
}

Napi::Object counters_object(Napi::Env env, const Gate& gate) {
  const GateCounters counters = gate.counters();
  Napi::Object result = Napi::Object::New(env);
  result["accepted"] = static_cast<double>(counters.accepted);
  result["unidentified"] = static_cast<double>(counters.unidentified);
  result["cacheHits"] = static_cast<double>(counters.cache_hits);
  result["hits"] = hits_array(env, gate.hits());
  result["connections"] = gate.connections();
  result["room"] = gate.room();
  result["running"] = static_cast<double>(gate.running());
  result["held"] = gate.pending_callers().asking();
  result["everHeld"] = static_cast<double>(gate.pending_callers().asked());
  return result;
}

Napi::Object counters_object(Napi::Env env, const Instance& instance) {
  Napi::Object result = Napi::Object::New(env);
  result["connections"] = instance.connections;
  result["answered"] = static_cast<double>(instance.answered);
  return result;
}

Napi::Object measures_object(Napi::Env env, const Gate& gate) {
  const RequestCounts& requests = gate.request_counts();
  Napi::Array answered = Napi::Array::New(env, requests.past_uws().size());
  for (uint32_t kind = 0; kind < requests.past_uws().size(); kind++) {
    answered[kind] = static_cast<double>(requests.past_uws()[kind]);
  }
  Napi::Object result = Napi::Object::New(env);
  result["took"] = histogram_of(env, requests.took());
  result["held"] = histogram_of(env, gate.pending_callers().held());
  result["answered"] = answered;
  result["refused"] = refused_of(env, requests);
  result["used"] = used_of(env, gate);
  return result;
}

}  // namespace devlxd
