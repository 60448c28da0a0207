/*
 * Intrusive doubly linked list, a ring through its head. A node that is in no list points at
 * itself.
 */
#ifndef LEA_BASE_LIST_H
#define LEA_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct lea_node {
    struct lea_node *next, *prev;
};

#define lea_container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void lea_list_init(struct lea_node *head)
{
    head->next = head->prev = head;
}

static inline bool lea_list_empty(const struct lea_node *head)
{
    return head->next == head;
}

static inline void lea_list_push_back(struct lea_node *head, struct lea_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void lea_list_push_front(struct lea_node *head, struct lea_node *node)
{
    lea_list_push_back(head->next, node);
}

static inline void lea_list_del(struct lea_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    lea_list_init(node);
}

#endif
