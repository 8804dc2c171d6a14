#include <napi.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "addon/bindings.h"
#include "addon/values.h"
#include "os/tcp_socket.h"
#include "os/unix_socket.h"
#include "os/vsock.h"

namespace devlxd {
namespace {

std::vector<int> fds_in(const Napi::CallbackInfo& info, size_t index) {
  const auto given = info[index].As<Napi::Array>();
  std::vector<int> fds;
  for (uint32_t i = 0; i < given.Length(); i++) {
    const Napi::Value fd = given[i];
    fds.push_back(fd.As<Napi::Number>().Int32Value());
  }
  return fds;
}

Napi::Value fd_or_failure(Napi::Env env, OwnFd fd, const Failure& failure) {
  if (failure) return failure_of(env, failure);
  return Napi::Number::New(env, fd.release());
}

int option_of(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool is_stream(int fd, bool listening) {
  return option_of(fd, SO_TYPE) == SOCK_STREAM &&
         option_of(fd, SO_ACCEPTCONN) == (listening ? 1 : 0);
}

// receive_message() on a thread of libuv's pool.
class ReceiveWorker : public Napi::AsyncWorker {
 public:
  // receiveMessage(socket, wait): a promise of {bytes, descriptors, call, errno}
  static Napi::Value queue(const Napi::CallbackInfo& info) {
    auto* worker = new ReceiveWorker(info);  // deletes itself when it is done
    worker->Queue();
    return worker->deferred_.Promise();
  }

 private:
  explicit ReceiveWorker(const Napi::CallbackInfo& info)
      : Napi::AsyncWorker(info.Env()),
        deferred_(info.Env()),
        socket_(fd_in(info, 0)),
        wait_milliseconds_(fd_in(info, 1)) {}

  void Execute() override { message_ = receive_message(socket_, wait_milliseconds_); }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    Napi::Object result = failure_of(Env(), message_.failure).As<Napi::Object>();
    Napi::Array descriptors = Napi::Array::New(Env());
    for (uint32_t i = 0; i < message_.descriptors.size(); i++) {
      descriptors[i] = message_.descriptors[i].release();
    }
    result["bytes"] = message_.bytes;
    result["descriptors"] = descriptors;
    deferred_.Resolve(result);
  }

  Napi::Promise::Deferred deferred_;
  int socket_;
  int wait_milliseconds_;
  Message message_;
};

}  // namespace

Napi::Value listen_unix_js(const Napi::CallbackInfo& info) {
  Failure failure;
  const std::string path = info[0].As<Napi::String>();
  const auto mode = info[1].As<Napi::Number>().Uint32Value();
  OwnFd fd = listen_unix(path, mode, fd_in(info, 2), failure);
  return fd_or_failure(info.Env(), std::move(fd), failure);
}

Napi::Value listen_tcp_js(const Napi::CallbackInfo& info) {
  Failure failure;
  const std::string address = info[0].As<Napi::String>();
  const auto port = static_cast<uint16_t>(info[1].As<Napi::Number>().Uint32Value());
  OwnFd fd = listen_tcp(address, port, fd_in(info, 2), failure);
  return fd_or_failure(info.Env(), std::move(fd), failure);
}

Napi::Value listen_vsock_js(const Napi::CallbackInfo& info) {
  Failure failure;
  const auto port = info[0].As<Napi::Number>().Uint32Value();
  OwnFd fd = listen_vsock(port, fd_in(info, 1), failure);
  return fd_or_failure(info.Env(), std::move(fd), failure);
}

Napi::Value duplicate_js(const Napi::CallbackInfo& info) {
  OwnFd copy = OwnFd::duplicate(fd_in(info, 0), info[1].As<Napi::Number>().Int32Value());
  const Failure failure = copy.valid() ? Failure{} : Failure{"fcntl", errno};
  return fd_or_failure(info.Env(), std::move(copy), failure);
}

// (fd, unix only): is it a listening stream socket?
Napi::Value listens_js(const Napi::CallbackInfo& info) {
  const int fd = fd_in(info, 0);
  const bool unix_only = info[1].As<Napi::Boolean>();
  const bool fits = !unix_only || option_of(fd, SO_DOMAIN) == AF_UNIX;
  return Napi::Boolean::New(info.Env(), fits && is_stream(fd, true));
}

// The port of a listening stream socket of vsock(7); undefined: it is none.
Napi::Value vsock_port_js(const Napi::CallbackInfo& info) {
  const int fd = fd_in(info, 0);
  const auto port = vsock_port(fd);
  if (!port || !is_stream(fd, true)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), *port);
}

// Is it one end of a connection of a guest or an operator: of Unix stream sockets, or of vsock(7)?
Napi::Value is_connection_js(const Napi::CallbackInfo& info) {
  const int fd = fd_in(info, 0);
  const int domain = option_of(fd, SO_DOMAIN);
  const bool fits = domain == AF_UNIX || domain == AF_VSOCK;
  return Napi::Boolean::New(info.Env(), fits && is_stream(fd, false));
}

Napi::Value stop_reading_js(const Napi::CallbackInfo& info) {
  shutdown(fd_in(info, 0), SHUT_RD);
  return info.Env().Undefined();
}

Napi::Value connect_unix_js(const Napi::CallbackInfo& info) {
  Failure failure;
  OwnFd fd = connect_unix(info[0].As<Napi::String>(), failure);
  return fd_or_failure(info.Env(), std::move(fd), failure);
}

Napi::Value send_message_js(const Napi::CallbackInfo& info) {
  const std::string bytes = info[1].As<Napi::String>();
  return failure_of(info.Env(),
                    send_message(fd_in(info, 0), bytes, fds_in(info, 2), fd_in(info, 3)));
}

Napi::Value notify_manager_js(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const std::string text = info[1].As<Napi::String>();
  return failure_of(info.Env(), notify_manager(path, text, fds_in(info, 2), fd_in(info, 3)));
}

Napi::Value receive_message_js(const Napi::CallbackInfo& info) {
  return ReceiveWorker::queue(info);
}

}  // namespace devlxd
