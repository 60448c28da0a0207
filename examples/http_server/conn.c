/*
 * conn.c - one connection: its coroutine goes round in conn_turn(): read what is there, feed it to
 * the parser, which stops behind each complete request so that it can be answered, then write all
 * the answers at once.
 */
#include "http_server.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define LINGER_NS (2 * LEAT_SEC) /* how long a refused client may take to read why */

/* --- The parser calls these while a request arrives, in pieces as the reads happen to fall. --- */

static void token_add(struct token *t, const char *at, size_t len)
{
    if (len > sizeof(t->text) - t->len || t->len > sizeof(t->text)) {
        t->len = sizeof(t->text) + 1;
        return;
    }
    memcpy(t->text + t->len, at, len);
    t->len = (uint8_t)(t->len + len);
}

static bool token_is(const struct token *t, const char *word)
{
    return t->len == strlen(word) && strncasecmp(t->text, word, t->len) == 0;
}

static int stop_with(struct conn *c, enum http_status status)
{
    c->refused = status;
    return -1;
}

static int on_begin(http_parser *parser)
{
    struct conn *c = parser->data;

    c->in_request = true;
    c->in_value = false;
    c->refused = 0;
    c->url_len = 0;
    c->nr_hosts = 0;
    c->name.len = 0;
    c->expect.len = 0;
    c->body_bytes = 0;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct conn *c = parser->data;

    if (len >= URL_BYTES - c->url_len)
        return stop_with(c, HTTP_STATUS_URI_TOO_LONG);
    memcpy(c->url + c->url_len, at, len);
    c->url_len += (unsigned)len;
    return 0;
}

static int on_header_name(http_parser *parser, const char *at, size_t len)
{
    struct conn *c = parser->data;

    if (c->in_value) {
        c->in_value = false;
        c->name.len = 0;
    }
    token_add(&c->name, at, len);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct conn *c = parser->data;

    if (!c->in_value && token_is(&c->name, "host"))
        c->nr_hosts++;
    c->in_value = true;
    if (token_is(&c->name, "expect"))
        token_add(&c->expect, at, len);
    return 0;
}

static int on_headers(http_parser *parser)
{
    struct conn *c = parser->data;
    bool has_length = (parser->flags & F_CONTENTLENGTH) != 0;

    parser->upgrade = 0; /* not taken up: the request is answered as it stands */
    if (parser->http_major != 1)
        return stop_with(c, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
    if (c->nr_hosts > 1 || (c->nr_hosts == 0 && parser->http_minor > 0))
        return stop_with(c, HTTP_STATUS_BAD_REQUEST);
    if (has_length && parser->content_length > c->server->max_body)
        return stop_with(c, HTTP_STATUS_PAYLOAD_TOO_LARGE);
    if (c->expect.len > 0 && parser->http_minor > 0) {
        if (!token_is(&c->expect, "100-continue"))
            return stop_with(c, HTTP_STATUS_EXPECTATION_FAILED);
        if ((has_length && parser->content_length > 0) || (parser->flags & F_CHUNKED))
            put_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return 0;
}

/* No resource here wants a body: it is counted and dropped. */
static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct conn *c = parser->data;

    (void)at;
    c->body_bytes += len;
    return c->body_bytes > c->server->max_body ? stop_with(c, HTTP_STATUS_PAYLOAD_TOO_LARGE) : 0;
}

static int on_complete(http_parser *parser)
{
    struct conn *c = parser->data;

    c->in_request = false;
    http_parser_pause(parser, 1); /* back to conn_feed(), which answers */
    return 0;
}

static const http_parser_settings on_parse = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* --- One connection --------------------------------------------------------------------------- */

/* What arrived is no request that we take: say so, and end the connection. */
static void refuse(struct conn *c, enum http_status status)
{
    c->keep_alive = false;
    c->linger = true;
    c->head = false;
    answer_status(c, status, "");
}

/* Parse and answer what was read. Returns whether the connection may go on. */
static bool conn_feed(struct conn *c, size_t len)
{
    const char *at = c->buf, *end = c->buf + len;

    c->out_at = len;
    while (at < end) {
        at += http_parser_execute(&c->parser, &on_parse, at, (size_t)(end - at));
        switch (HTTP_PARSER_ERRNO(&c->parser)) {
        case HPE_OK:
            break;
        case HPE_PAUSED:
            http_parser_pause(&c->parser, 0);
            if (!answer(c)) {
                c->linger = at < end;
                return false;
            }
            break;
        case HPE_HEADER_OVERFLOW:
            refuse(c, HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
            return false;
        default:
            refuse(c, c->refused != 0 ? c->refused : HTTP_STATUS_BAD_REQUEST);
            return false;
        }
    }
    return true;
}

/*
 * The read brought nothing. A client that has ended its own direction only may still be listening.
 */
static void conn_no_more(struct conn *c, ssize_t error)
{
    if (error == 0 && c->in_request)
        refuse(c, HTTP_STATUS_BAD_REQUEST);
    /* between two requests it would be taken for the next one's answer: the end says enough */
    if (error == -ETIMEDOUT && (c->in_request || c->nr_requests == 0))
        refuse(c, HTTP_STATUS_REQUEST_TIMEOUT);
    flush(c);
}

/* From here to conn_rest() the server's end waits for us. */
static void conn_work(struct conn *c)
{
    leat_mutex_lock(&c->lock);
    c->busy = true;
    c->last = c->stopping;
    leat_mutex_unlock(&c->lock);
}

/* Returns false when the server ends. */
static bool conn_rest(struct conn *c)
{
    bool go_on;

    leat_mutex_lock(&c->lock);
    c->busy = false;
    go_on = !c->stopping;
    leat_mutex_unlock(&c->lock);
    return go_on;
}

/* Read, answer, write. Returns whether there may be more. */
static bool conn_turn(struct conn *c)
{
    uint64_t before = c->nr_requests;
    ssize_t n = leat_read(c->fd, c->buf, READ_BYTES, c->until);
    bool go_on;

    /*
     * a read that need not wait never times out: look at the clock for those who send without a
     * pause
     */
    if (n > 0 && c->in_request && leat_now() >= c->until.ns)
        n = -ETIMEDOUT;
    if (n <= 0) {
        conn_no_more(c, n);
        return false;
    }
    conn_work(c);
    go_on = conn_feed(c, (size_t)n);
    flush(c);
    if (!go_on || c->error != 0)
        return false;
    if (c->nr_requests != before)
        c->until = leat_after(c->server->timeout_ns);
    return c->in_request || conn_rest(c);
}

/*
 * Called by the coroutine that ends the server. An idle connection reads an end of file, a busy one
 * ends behind its answer.
 */
void conn_ask_to_end(struct conn *c)
{
    leat_mutex_lock(&c->lock);
    c->stopping = true;
    if (!c->busy)
        leat_shutdown(c->fd, SHUT_RD);
    leat_mutex_unlock(&c->lock);
}

static void conn_open(struct conn *c, struct server *server, int fd)
{
    const size_t from = offsetof(struct conn, out_at), to = offsetof(struct conn, url);

    /* all but the buffer and the url, which stand at the two ends */
    memset((char *)c + from, 0, to - from);
    c->server = server;
    c->fd = fd;
    c->until = leat_after(server->timeout_ns);
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;

    leat_mutex_lock(&server->lock);
    if (server->stopping)
        conn_ask_to_end(c);
    c->next = server->first;
    c->link = &server->first;
    if (c->next != NULL)
        c->next->link = &c->next;
    server->first = c;
    leat_mutex_unlock(&server->lock);
}

/*
 * A close with bytes unread is a reset, which may overtake the answer: read until the client has
 * closed.
 */
static void conn_linger(struct conn *c)
{
    leat_deadline until = leat_after(LINGER_NS);

    leat_shutdown(c->fd, SHUT_WR);
    while (leat_now() < until.ns && leat_read(c->fd, c->buf, READ_BYTES, until) > 0)
        ;
}

static void conn_close(struct conn *c)
{
    static const struct linger drop = {.l_onoff = 1, .l_linger = 0};

    /* the peer does not read: do not leave what was written to the kernel */
    if (c->error == -ETIMEDOUT)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop));
    else if (c->linger && c->error == 0)
        conn_linger(c);

    leat_mutex_lock(&c->server->lock);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    leat_mutex_unlock(&c->server->lock);
    leat_close(c->fd);
}

void serve_connection(struct server *server, int fd)
{
    struct conn c;

    conn_open(&c, server, fd);
    while (conn_turn(&c))
        ;
    conn_close(&c);
}
