/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring behind a vEVENTQ: numbers the events, drops those that do not fit,
 * and records the loss. There are no locks and no allocation in here.
 *
 * The records that can be read are @num events, the oldest first, and then the
 * lost-events record if there is one. As that record is always the last, it is
 * not in the ring. Events can't displace it, and it needs no entry.
 */
#ifndef __VEVENT_RING_H
#define __VEVENT_RING_H

#include <linux/limits.h>
#include <linux/string.h>
#include <linux/types.h>
#include <uapi/linux/iommufd.h>

/**
 * struct vevent_ring - Unread events
 * @entries: @depth records as user space reads them: a header and @payload_len
 *           bytes
 * @payload_len: Length in bytes of the payload of an event
 * @depth: Number of events that fit
 * @head: Index of the oldest event
 * @num: Number of events, 0 to @depth
 * @sequence: Number of the next event, 0 to INT_MAX
 * @lost: The lost-events record, none if its flags are 0
 */
struct vevent_ring {
	void *entries;
	size_t payload_len;
	u32 depth;
	u32 head;
	u32 num;
	u32 sequence;
	struct iommufd_vevent_header lost;
};

static inline size_t vevent_ring_entry_len(const struct vevent_ring *ring)
{
	return sizeof(struct iommufd_vevent_header) + ring->payload_len;
}

static inline struct iommufd_vevent_header *
vevent_ring_entry(const struct vevent_ring *ring, u32 index)
{
	return ring->entries + index * vevent_ring_entry_len(ring);
}

static inline bool vevent_ring_empty(const struct vevent_ring *ring)
{
	return !ring->num && !ring->lost.flags;
}

/**
 * vevent_ring_push() - Put an event at the tail, or count it as lost
 * @ring: The ring
 * @payload: Payload of @payload_len bytes, NULL if it was lost on the way here
 *
 * Entries that can be read do not change. A reader can copy them without a
 * lock.
 *
 * Return: true if a record was added, false if only the number in the
 * lost-events record has changed
 */
static inline bool vevent_ring_push(struct vevent_ring *ring,
				    const void *payload)
{
	u32 sequence = ring->sequence;
	struct iommufd_vevent_header *entry;

	ring->sequence = (sequence + 1) & INT_MAX;

	if (!payload || ring->num == ring->depth) {
		bool first = !ring->lost.flags;

		ring->lost.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		ring->lost.sequence = sequence;
		return first;
	}

	/* From here on the gap in the sequence numbers shows the loss */
	ring->lost.flags = 0;

	entry = vevent_ring_entry(ring, (ring->head + ring->num) % ring->depth);
	entry->flags = 0;
	entry->sequence = sequence;
	memcpy(entry + 1, payload, ring->payload_len);
	ring->num++;
	return true;
}

/**
 * vevent_ring_peek() - Get the record to be read next
 * @ring: The ring
 * @lost: Room for a copy of the lost-events record, which may change in the
 *        ring
 * @len: Set to the length of the record in bytes
 *
 * Return: the record, NULL if there is none. It does not change until it is
 * passed to vevent_ring_pop(). Until then there must be no other reader.
 */
static inline const struct iommufd_vevent_header *
vevent_ring_peek(const struct vevent_ring *ring,
		 struct iommufd_vevent_header *lost, size_t *len)
{
	if (ring->num) {
		*len = vevent_ring_entry_len(ring);
		return vevent_ring_entry(ring, ring->head);
	}
	if (ring->lost.flags) {
		*lost = ring->lost;
		*len = sizeof(*lost);
		return lost;
	}
	return NULL;
}

/**
 * vevent_ring_pop() - Remove a record that has been read
 * @ring: The ring
 * @record: From vevent_ring_peek()
 *
 * Events may have been added in between. A new event removes the lost-events
 * record. Another lost-events record is about later events than @record, and
 * stays.
 */
static inline void vevent_ring_pop(struct vevent_ring *ring,
				   const struct iommufd_vevent_header *record)
{
	if (record->flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
		if (ring->lost.sequence == record->sequence)
			ring->lost.flags = 0;
		return;
	}
	ring->head = (ring->head + 1) % ring->depth;
	ring->num--;
}

#endif /* __VEVENT_RING_H */
