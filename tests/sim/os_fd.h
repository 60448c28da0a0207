/*
 * os_fd.h - files of the simulated kernel, for those who make system calls on them.
 */
#ifndef LEAT_TESTS_SIM_OS_FD_H
#define LEAT_TESTS_SIM_OS_FD_H

#include "sim.h"

#include "base/os.h"

#define SIM_FDS 64
#define SIM_FILES (2 * SIM_FDS)
#define SIM_FIRST_FD 3
#define SIM_STREAM_BYTES 64
#define SIM_INTERESTS 16
#define SIM_QUEUE 4

enum sim_kind {
    KIND_FREE,
    KIND_PIPE_READ,
    KIND_PIPE_WRITE,
    KIND_STREAM,
    KIND_SOCKET,
    KIND_LISTENER,
    KIND_EVENT,
    KIND_EPOLL,
    KIND_RING
};

struct sim_interest {
    int fd;
    struct sim_file *file; /* NULL: free */
    uint64_t data;
    uint32_t events;
    bool pending;       /* an edge that was not reported yet */
    int64_t visible_ns; /* not before that */
};

struct sim_file {
    enum sim_kind kind;
    unsigned refs; /* numbers that stand for it */
    bool nonblock;
    bool hung_up; /* the other side is gone, or will not write any more */
    bool shut;    /* we will not write any more */
    bool reset;
    bool no_space; /* a write has found too little room */
    bool exact;    /* TCP and pipes: what is short stays short until the next edge */
    struct sim_file *peer;
    unsigned char data[SIM_STREAM_BYTES]; /* towards the reader of this file */
    size_t len;
    uint64_t count;                    /* of an eventfd */
    struct sim_file *queue[SIM_QUEUE]; /* of a listener */
    unsigned nr_queue;
    uint16_t port;
    struct sim_interest interest[SIM_INTERESTS]; /* of an epoll */
    const struct sim_thread *sleeper; /* of an epoll: waits in it, or is on its way out */
    const struct sim_thread *held_by; /* closed; open until that one leaves epoll_wait */
    struct sim_vc vc;                 /* what reading it orders */
};

extern struct sim_file sim_files[SIM_FILES];
extern struct sim_file *sim_fd_table[SIM_FDS];

/* --- os_fd.c --- */
void sim_file_enter(const char *what); /* a system call begins */
struct sim_file *sim_file_new(enum sim_kind kind, bool nonblock);
int sim_fd_new(struct sim_file *f,
               int from); /* the lowest number; -EMFILE, and then the file is gone */
struct sim_file *sim_file_of(int fd);
void sim_file_hang_up(struct sim_file *f); /* the other side learns that it is gone */
void sim_file_release(struct sim_file *f); /* nobody has it any more */

/* --- os_epoll.c --- */
uint32_t sim_file_ready(const struct sim_file *f);
void sim_file_edge(struct sim_file *f, uint32_t events);  /* something has happened to it */
bool sim_file_held(struct sim_file *f);                   /* on its close: does a wait hold it? */
void sim_file_edge_at(struct sim_file *f, int64_t at_ns); /* at that time it will be readable */

/* --- os_ring.c --- */
#define SIM_FILLED 0x5a /* what a file holds */
bool sim_ring_ready(void);
int64_t sim_ring_next(void); /* when the next one ends, from now on; SIM_FOREVER */
void sim_ring_reset(void);

#endif
