#ifndef DEVLXD_GATE_REQUEST_BODY_H_
#define DEVLXD_GATE_REQUEST_BODY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace devlxd {

// Where the body of a request ends (RFC 9112, 6 and 7.1). Chunks are read here, strictly, and go on
// without extensions and trailers: uWebSockets takes "5;a=b" for another number.
class RequestBody {
 public:
  RequestBody() = default;  // none
  static RequestBody of_length(uint64_t bytes);
  static RequestBody in_chunks();

  bool ended() const { return part_ == Part::kEnd; }

  // Removes from data what belongs to the body. out: the same bytes for uWebSockets are appended,
  // all that came in one call as one chunk. False: it is no body.
  bool take(std::string_view& data, std::string& out);

 private:
  enum class Part : uint8_t {
    kEnd,
    kLength,        // left_ bytes
    kSize,          // digits of a chunk's size, in left_
    kExtension,     // behind the digits
    kSizeLineFeed,  // CR was there
    kData,          // left_ bytes of a chunk
    kDataReturn,
    kDataLineFeed,
    kTrailer,  // the beginning of a line
    kTrailerLine,
    kTrailerLineFeed,
    kLastLineFeed,
  };

  bool take_chunks(std::string_view& data, std::string& content);
  bool take_framing(unsigned char c);
  bool take_size(unsigned char c);
  bool end_size();

  uint64_t left_ = 0;
  uint16_t framing_ = 0;  // bytes of a size line, or of all trailers
  Part part_ = Part::kEnd;
};

}  // namespace devlxd

#endif  // DEVLXD_GATE_REQUEST_BODY_H_
