/*
 * http_server - HTTP/1.1 as plain blocking code, one coroutine per connection.
 *
 *   main.c    the command line, accepting, the end by SIGTERM
 *   conn.c    one connection: read, parse, answer, write
 *   answer.c  one answer: the greeting, the counters, files
 *
 * Always:
 *  - Everything in the buffer is parsed before the next read, so requests start at its low end;
 *    answers stand behind them.
 *  - Everything answered is written before the next read: a client that waits for an answer is
 *    never waited for.
 *  - No request costs an allocation, /stats aside. An idle connection keeps its descriptor and its
 *    stack, of which two or three pages were touched: see struct conn.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <leat/leat.h>

#include <http_parser.h>
#include <time.h>

#define BUF_BYTES 12288 /* a coroutine has about 48 KiB of stack */
#define READ_BYTES 8192 /* most that one read takes; the rest of the buffer is room for answers */
#define URL_BYTES 1024
#define SEND_BYTES 262144 /* most of a file that a client must take within the timeout */

struct server {
    const char *address;
    const char *root;
    int root_fd; /* -1: no files */
    int listener;
    /* for one request to arrive, and for the peer to take a buffer of answers */
    int64_t timeout_ns;
    int64_t grace_ns;
    uint64_t max_body;
    uint64_t max_header;
    leat_group connections;
    leat_mutex lock; /* for the two fields below; taken before a connection's lock */
    struct conn *first;
    bool stopping;
};

/*
 * The beginning of a header's name or value, as much of it as is needed to tell the ones that
 * matter.
 */
struct token {
    char text[15];
    uint8_t len; /* 16: too long to be of interest */
};

/*
 * One connection; lives on its coroutine's stack, and is never cleared as a whole: pages that are
 * not touched cost nothing. The stack grows down, so the buffer comes first: a short request, its
 * answer and the frames of the calls below share a page, and what follows the buffer shares one
 * with the top of the stack.
 */
struct conn {
    char buf[BUF_BYTES];
    size_t out_at; /* where answers begin */
    size_t out_len;
    struct server *server;
    int fd;
    /* negative errno: a write failed, or an answer broke off; nothing more is sent */
    int error;
    leat_deadline until; /* when the request must be complete */
    http_parser parser;
    uint64_t nr_requests;
    uint64_t body_bytes;
    unsigned url_len;
    unsigned nr_hosts;        /* Host headers of this request */
    enum http_status refused; /* why this request is not answered properly; 0: it will be */
    bool in_request;          /* its first byte was seen, its last was not */
    bool in_value;
    bool keep_alive;
    bool head; /* the answer has no body */
    /* the client may still be sending: let it read the answer before the reset */
    bool linger;
    struct token name; /* of the header being parsed */
    struct token expect;
    time_t date_at;
    char date[40];
    /* for the two fields below; uncontended, and a few nanoseconds a turn */
    leat_mutex lock;
    bool busy;                 /* bytes of a request were read that is not answered */
    bool stopping;             /* end when not busy */
    bool last;                 /* the owner's copy of stopping */
    struct conn *next, **link; /* under the server's lock */
    char url[URL_BYTES];       /* the target; decoded in place */
};

/* conn.c */
void serve_connection(struct server *server, int fd);
void conn_ask_to_end(struct conn *c);

/* answer.c */
int open_beneath(int dir_fd, const char *path);
void put_text(struct conn *c, const char *text);
void flush(struct conn *c);
void answer_status(struct conn *c, enum http_status status, const char *extra);
bool answer(struct conn *c);

#endif
