#include "identity/procfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "os/own_fd.h"

namespace devlxd {
namespace {

// Large enough for the files read here: an id map has at most 340 lines, but the kernel writes them
// padded to 33 bytes each; only the line that covers 0 matters and runtimes put it first.
constexpr size_t kProcFileBytes = 16 * 1024;

// How the kernel writes, to a reader in a user namespace, an id that this namespace does not have.
constexpr uid_t kNoUid = static_cast<uid_t>(-1);

struct ProcFile {
  char bytes[kProcFileBytes];
  size_t length = 0;
  std::string_view text() const { return {bytes, length}; }
};

bool read_file(const char* path, ProcFile& file) {
  OwnFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  while (file.length < kProcFileBytes) {
    const ssize_t got = read(fd.get(), file.bytes + file.length, kProcFileBytes - file.length);
    if (got < 0) return false;
    if (got == 0) break;
    file.length += static_cast<size_t>(got);
  }
  return true;
}

bool read_proc_file(pid_t pid, const char* name, ProcFile& file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return read_file(path, file);
}

// Takes the next blank-separated word off the front of text; empty at its end.
std::string_view next_word(std::string_view& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return text = {};
  text.remove_prefix(begin);
  const size_t end = text.find_first_of(" \t");
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(word.size());
  return word;
}

std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

template <typename Number>
std::optional<Number> number_of(std::string_view word) {
  Number value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<uid_t> root_uid_of_map(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = next_line(text);
    const auto inside = number_of<uid_t>(next_word(line));
    const auto outside = number_of<uid_t>(next_word(line));
    const auto count = number_of<uid_t>(next_word(line));
    if (inside != 0u || !outside || !count || *count == 0) continue;
    return outside == kNoUid ? std::nullopt : outside;
  }
  return std::nullopt;
}

std::optional<uint64_t> start_of_stat(std::string_view text) {
  const size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);
  constexpr int kFieldsBetween = 22 - 3;  // from field 3, the first behind the name
  for (int i = 0; i < kFieldsBetween; i++) next_word(text);
  return number_of<uint64_t>(next_word(text));
}

std::optional<pid_t> innermost_pid_of_status(std::string_view text) {
  constexpr std::string_view kLabel = "NSpid:";
  while (!text.empty()) {
    std::string_view line = next_line(text);
    if (!line.starts_with(kLabel)) continue;
    line.remove_prefix(kLabel.size());
    std::string_view last;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line))
      last = word;
    const auto pid = number_of<pid_t>(last);
    return pid.value_or(0) > 0 ? pid : std::nullopt;
  }
  return std::nullopt;
}

std::optional<uid_t> root_uid(pid_t pid) {
  ProcFile file;
  if (!read_proc_file(pid, "uid_map", file)) return std::nullopt;
  return root_uid_of_map(file.text());
}

std::optional<uint64_t> start_ticks(pid_t pid) {
  ProcFile file;
  if (!read_proc_file(pid, "stat", file)) return std::nullopt;
  return start_of_stat(file.text());
}

std::optional<pid_t> innermost_pid(pid_t pid) {
  ProcFile file;
  if (!read_proc_file(pid, "status", file)) return std::nullopt;
  return innermost_pid_of_status(file.text());
}

uint64_t pid_max() {
  constexpr uint64_t kSmallestDefault = 32768;  // include/linux/threads.h
  ProcFile file;
  if (!read_file("/proc/sys/kernel/pid_max", file)) return kSmallestDefault;
  std::string_view text = file.text();
  return number_of<uint64_t>(next_line(text)).value_or(kSmallestDefault);
}

}  // namespace devlxd
