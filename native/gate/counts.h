#ifndef DEVLXD_GATE_COUNTS_H_
#define DEVLXD_GATE_COUNTS_H_

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>

namespace devlxd {

// How many there are of each; what there is none of takes no memory.
template <typename Key>
class Counts {
 public:
  void add(Key key) { counts_[key]++; }

  void remove(Key key) {
    const auto found = counts_.find(key);
    if (--found->second == 0) counts_.erase(found);
  }

  uint32_t of(Key key) const {
    const auto found = counts_.find(key);
    return found == counts_.end() ? 0 : found->second;
  }

  // The one of which there are most, and how many; {}: there is none.
  std::pair<Key, uint32_t> most() const {
    const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto most = std::max_element(counts_.begin(), counts_.end(), fewer);
    if (most == counts_.end()) return {};
    return {most->first, most->second};
  }

 private:
  std::unordered_map<Key, uint32_t> counts_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_COUNTS_H_
