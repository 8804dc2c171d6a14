#ifndef DEVLXD_GATE_PAYER_H_
#define DEVLXD_GATE_PAYER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "identity/caller.h"

namespace devlxd {

// The account that work is charged to: an instance by its slot, or, for callers of no instance, the
// user of the host. Users share a fixed number of accounts, so that no caller can add any.
using Payer = uint32_t;
constexpr Payer kFirstUserPayer = 1u << 30;
constexpr Payer kUserPayers = 256;

inline Payer payer_of(const Caller& caller) {
  if (caller.kind == CallerKind::kInstance) return caller.slot;
  return kFirstUserPayer + caller.uid % kUserPayers;
}

// One value for each payer.
template <typename Value>
class PerPayer {
 public:
  Value& operator[](Payer payer) {
    if (payer >= kFirstUserPayer) return users_[payer - kFirstUserPayer];
    if (payer >= instances_.size()) instances_.resize(payer + 1);
    return instances_[payer];
  }

 private:
  std::vector<Value> instances_;  // by slot
  std::array<Value, kUserPayers> users_ = {};
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_PAYER_H_
