#ifndef DEVLXD_HOOK_PATIENCE_H_
#define DEVLXD_HOOK_PATIENCE_H_

namespace devlxd::hook {

constexpr int kPatienceSeconds = 10;

// From now on what blocks this process longer than its patience is interrupted (EINTR), whatever it
// is, and the process ends with this code if it goes on blocking nevertheless: a container waits.
void begin_patience(int exit_code);

// Is it over?
bool patience_is_over();

}  // namespace devlxd::hook

#endif  // DEVLXD_HOOK_PATIENCE_H_
