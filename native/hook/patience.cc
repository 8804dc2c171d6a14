#include "hook/patience.h"

#include <sys/time.h>
#include <unistd.h>

#include <csignal>

namespace devlxd::hook {
namespace {

// Interrupted once, the hook still has to say so, to a log and to a pipe that may block as well.
constexpr int kMostInterruptions = 3;

volatile sig_atomic_t interruptions = 0;
volatile sig_atomic_t last_exit_code = 0;

void interrupt(int) {
  interruptions = interruptions + 1;
  if (interruptions == kMostInterruptions) _exit(last_exit_code);
}

}  // namespace

void begin_patience(int exit_code) {
  last_exit_code = exit_code;
  struct sigaction action = {};
  action.sa_handler = interrupt;  // without SA_RESTART
  sigaction(SIGALRM, &action, nullptr);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
  // Again and again: the first may come just before a call that blocks.
  const itimerval timer = {.it_interval = {1, 0}, .it_value = {kPatienceSeconds, 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

bool patience_is_over() { return interruptions > 0; }

}  // namespace devlxd::hook
