#include <napi.h>

#include <cerrno>

#include "addon/bindings.h"
#include "addon/values.h"
#include "os/own_fd.h"
#include "os/send_file.h"

namespace devlxd {
namespace {

// send_file() on a thread of libuv's pool.
class SendFileWorker : public Napi::AsyncWorker {
 public:
  // sendFile(socket, file, offset, length): a promise of {bytes, call, errno}
  static Napi::Value queue(const Napi::CallbackInfo& info) {
    auto* worker = new SendFileWorker(info);  // deletes itself when it is done
    worker->Queue();
    return worker->deferred_.Promise();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
  }

 private:
  // Copies of the descriptors: while the thread writes, JavaScript may close its own, and the
  // kernel may give their numbers to the connection of another guest.
  explicit SendFileWorker(const Napi::CallbackInfo& info)
      : Napi::AsyncWorker(info.Env()),
        deferred_(info.Env()),
        socket_(OwnFd::duplicate(fd_in(info, 0))),
        file_(OwnFd::duplicate(fd_in(info, 1))),
        offset_(static_cast<uint64_t>(info[2].As<Napi::Number>().Int64Value())),
        length_(static_cast<size_t>(info[3].As<Napi::Number>().Int64Value())) {
    if (!socket_.valid() || !file_.valid()) sent_.failure = {"fcntl", errno};
  }

  void Execute() override {
    if (!sent_.failure) sent_ = send_file(socket_.get(), file_.get(), offset_, length_);
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    Napi::Object result = failure_of(Env(), sent_.failure).As<Napi::Object>();
    result["bytes"] = static_cast<double>(sent_.bytes);
    deferred_.Resolve(result);
  }

  Napi::Promise::Deferred deferred_;
  OwnFd socket_;
  OwnFd file_;
  uint64_t offset_;
  size_t length_;
  SentFile sent_;
};

}  // namespace

Napi::Value send_file_js(const Napi::CallbackInfo& info) { return SendFileWorker::queue(info); }

}  // namespace devlxd
