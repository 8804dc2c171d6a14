#ifndef DEVLXD_GATE_REQUEST_READER_H_
#define DEVLXD_GATE_REQUEST_READER_H_

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "gate/request_head.h"
#include "os/uv_handle.h"
#include "uws/bridge.h"

namespace devlxd {

// What the reader leaves to the gate.
class RequestPolicy {
 public:
  // Has the connection's payer used up its rate, or its share of this turn of the event loop? Then
  // the connection waits: throttle() stops reading, until the gate lets Bridge::resume() go on.
  virtual bool must_wait(const Connection& connection) = 0;
  virtual void throttle(Connection& connection) = 0;
  // A request begins that must be answered, now or when the connection need not wait any more.
  virtual void begun(Connection& connection) = 0;
  // request: a whole head, or any other bytes. False: there is no response to them, or the kernel
  // does not take it now.
  virtual bool answer_from_cache(Connection& connection, std::string_view request) = 0;
  // The same for a whole head in plain form that may come again, which the cache does not have.
  // closes: whether the connection ends after the response
  virtual bool answer_directly(Connection& connection, std::string_view request, bool closes) = 0;
  // The connection is closed next: it has sent too much ahead, or something that is no request.
  virtual void sent_ahead(const Connection& connection) = 0;
  virtual void refused(const Connection& connection, HeadOutcome why) = 0;

 protected:
  ~RequestPolicy() = default;
};

// A request that means the same whenever its bytes come again.
struct RepeatableRequest {
  std::string bytes;
  bool closes = false;  // the connection ends after the response
};

// Makes whole requests of the bytes of a connection and gives uWebSockets one after the other, each
// when the response to the one before has ended. What uWebSockets' parser refuses, leaves
// unanswered or takes for something else never gets there: it is made plain, or refused here.
//
// Held for a connection are at most a head of kLongestHead, or kMostAhead bytes beyond the request
// that is under way, or what one read brought when it has to wait; and then it is not read.
class RequestReader {
 public:
  // Of one connection that has to wait: what uSockets reads at once (LIBUS_RECV_BUFFER_LENGTH).
  static constexpr size_t kMostHeld = 512 * 1024;

  RequestReader(uv_loop_t* loop, Bridge& bridge, RequestPolicy& policy)
      : bridge_(bridge), policy_(policy), next_turn_(loop, this) {}
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // These bytes were read, behind what is held. uWebSockets may write into them, and behind them.
  void take(Connection& connection, char* data, size_t length);

  // The same for bytes that another process has read; not before the next turn of the loop.
  void begin_with(Connection& connection, std::string bytes);

  // The kernel has taken of what uWebSockets held.
  void written(Connection& connection);

  // JavaScript is about to give the last of its response to uWebSockets.
  void response_given(Connection& connection);

  // The connection is closed or detached: it is not touched any more.
  void forget(Connection& connection);

  // The request whose handler runs, if it is one that can come again; else null.
  const RepeatableRequest* repeatable_request(const Connection& connection) const;

  // Is this one whole request, and nothing else?
  static bool is_single_request(std::string_view data);

 private:
  // A connection whose bytes are being looked at.
  struct Turn {
    Connection* connection;  // null from forget() on
    std::string_view rest;   // in a buffer that uWebSockets may write into, and behind
    size_t requests = 0;
    RepeatableRequest repeatable = {};
    Turn* outer = nullptr;
  };

  void run(Turn& turn);
  bool step(Turn& turn);
  bool waits(const Turn& turn);
  bool begin(Turn& turn);
  bool hold_partial_head(Turn& turn, size_t searched);
  bool begin(Turn& turn, std::string_view bytes, const RequestHead& head);
  bool pass_request(Turn& turn, std::string_view bytes, std::string_view made);
  bool pass_with_body(Turn& turn, std::string bytes);
  bool pass(Turn& turn, std::string_view bytes);
  bool refuse(Turn& turn, HeadOutcome why);
  void hold(const Turn& turn);
  void queue(Connection& connection);
  void run_queued();

  Bridge& bridge_;
  RequestPolicy& policy_;
  Turn* turn_ = nullptr;
  std::deque<Connection*> queued_;  // go on in the next turn of the loop; null: has gone
  UvEachTurn next_turn_;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_READER_H_
