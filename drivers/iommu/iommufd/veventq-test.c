// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the ring behind a vEVENTQ. They read records in the same way
 * as user space, and compare them with a plain list.
 *
 * The loops run many thousand times. They compare in plain code and report only
 * the first failure to KUnit.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "vevent_ring.h"

#define LOST	IOMMU_VEVENTQ_FLAG_LOST_EVENTS
#define GARBAGE	0xa5
#define ROOM	16

/* The smallest payload, and the payload of an SMMUv3 */
static const size_t payload_lens[] = {
	sizeof(u32), sizeof(struct iommu_vevent_arm_smmuv3),
};

/* A guard follows the entries and must not change */
static struct vevent_ring make_ring(struct kunit *test, u32 depth,
				    size_t payload_len)
{
	struct vevent_ring ring = {
		.payload_len = payload_len,
		.depth = depth,
	};
	size_t len = depth * vevent_ring_entry_len(&ring);

	ring.entries = kunit_kmalloc(test, len + ROOM, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ring.entries);
	memset(ring.entries, GARBAGE, len + ROOM);
	return ring;
}

static void expect_guard(struct kunit *test, const struct vevent_ring *ring)
{
	size_t len = ring->depth * vevent_ring_entry_len(ring);

	KUNIT_EXPECT_NULL(test,
			  memchr_inv(ring->entries + len, GARBAGE, ROOM));
}

/* The name of an event determines its payload */
static bool push(struct vevent_ring *ring, u32 name)
{
	u32 payload[sizeof(struct iommu_vevent_arm_smmuv3) / sizeof(u32)];
	size_t i;

	for (i = 0; i != ARRAY_SIZE(payload); i++)
		payload[i] = name * 0x9e3779b9 + i;
	return vevent_ring_push(ring, payload);
}

static bool is_event(const struct vevent_ring *ring,
		     const struct iommufd_vevent_header *record, size_t len,
		     u32 sequence, u32 name)
{
	const u32 *payload = (const u32 *)(record + 1);
	size_t i;

	if (len != sizeof(*record) + ring->payload_len || record->flags ||
	    record->sequence != sequence)
		return false;
	for (i = 0; i != ring->payload_len / sizeof(u32); i++)
		if (payload[i] != (u32)(name * 0x9e3779b9 + i))
			return false;
	return true;
}

static bool is_lost(const struct iommufd_vevent_header *record, size_t len,
		    u32 sequence)
{
	return len == sizeof(*record) && record->flags == LOST &&
	       record->sequence == sequence;
}

static bool read_event(struct vevent_ring *ring, u32 sequence, u32 name)
{
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t len;

	record = vevent_ring_peek(ring, &lost, &len);
	if (!record || !is_event(ring, record, len, sequence, name))
		return false;
	vevent_ring_pop(ring, record);
	return true;
}

static bool read_lost(struct vevent_ring *ring, u32 sequence)
{
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t len;

	record = vevent_ring_peek(ring, &lost, &len);
	if (!record || !is_lost(record, len, sequence))
		return false;
	vevent_ring_pop(ring, record);
	return true;
}

static bool nothing_to_read(struct vevent_ring *ring)
{
	struct iommufd_vevent_header lost;
	size_t len;

	return vevent_ring_empty(ring) && !vevent_ring_peek(ring, &lost, &len);
}

/* The records are ABI: 40 bytes for an SMMUv3 event, 8 for lost events */
static void test_layout(struct kunit *test)
{
	struct vevent_ring ring =
		make_ring(test, 1, sizeof(struct iommu_vevent_arm_smmuv3));
	__le64 evt[] = { cpu_to_le64(1), cpu_to_le64(2), cpu_to_le64(3),
			 cpu_to_le64(4) };
	struct {
		u32 flags;
		u32 sequence;
		__le64 evt[4];
	} want = { .flags = 0, .sequence = 0 };
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t len;

	memcpy(want.evt, evt, sizeof(evt));
	vevent_ring_push(&ring, evt);
	vevent_ring_push(&ring, evt);

	record = vevent_ring_peek(&ring, &lost, &len);
	KUNIT_ASSERT_NOT_NULL(test, record);
	KUNIT_EXPECT_EQ(test, 40, len);
	KUNIT_EXPECT_MEMEQ(test, &want, record, 40);
	vevent_ring_pop(&ring, record);

	record = vevent_ring_peek(&ring, &lost, &len);
	KUNIT_ASSERT_NOT_NULL(test, record);
	KUNIT_EXPECT_EQ(test, 8, len);
	want.flags = 1;
	want.sequence = 1;
	KUNIT_EXPECT_MEMEQ(test, &want, record, 8);
	vevent_ring_pop(&ring, record);

	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
}

/* Depth 2, events A B C D: as in Documentation/userspace-api/iommufd.rst */
static void test_overflow(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 2, 32);

	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
	KUNIT_EXPECT_TRUE(test, push(&ring, 'A'));
	KUNIT_EXPECT_TRUE(test, push(&ring, 'B'));
	/* The first lost event adds a record, the others don't */
	KUNIT_EXPECT_TRUE(test, push(&ring, 'C'));
	KUNIT_EXPECT_FALSE(test, push(&ring, 'D'));

	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0, 'A'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 1, 'B'));
	KUNIT_EXPECT_FALSE(test, vevent_ring_empty(&ring));
	KUNIT_EXPECT_TRUE(test, read_lost(&ring, 3));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));

	/* After a complete drain the next event continues the sequence */
	KUNIT_EXPECT_TRUE(test, push(&ring, 'E'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 4, 'E'));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
	expect_guard(test, &ring);
}

/* An event that is queued after the lost-events record removes it */
static void test_overflow_then_room(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 2, 32);

	push(&ring, 'A');
	push(&ring, 'B');
	push(&ring, 'C');
	push(&ring, 'D');
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0, 'A'));
	KUNIT_EXPECT_TRUE(test, push(&ring, 'E'));

	KUNIT_EXPECT_TRUE(test, read_event(&ring, 1, 'B'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 4, 'E'));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
	expect_guard(test, &ring);
}

/* Events lost before the ring count as dropped, even if there is room */
static void test_lost_before(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 2, 32);

	KUNIT_EXPECT_TRUE(test, vevent_ring_push(&ring, NULL));
	KUNIT_EXPECT_FALSE(test, vevent_ring_push(&ring, NULL));
	KUNIT_EXPECT_TRUE(test, read_lost(&ring, 1));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));

	push(&ring, 'A');
	KUNIT_EXPECT_TRUE(test, vevent_ring_push(&ring, NULL));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 2, 'A'));
	KUNIT_EXPECT_TRUE(test, push(&ring, 'B'));
	KUNIT_EXPECT_TRUE(test, vevent_ring_push(&ring, NULL));
	/* The gap before B shows the loss */
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 4, 'B'));
	KUNIT_EXPECT_TRUE(test, read_lost(&ring, 5));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
	expect_guard(test, &ring);
}

/* 0x7fffffff is followed by 0, for events and for lost-events records */
static void test_sequence_wraps(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 3, 32);

	ring.sequence = 0x7ffffffe;
	push(&ring, 'A');
	push(&ring, 'B');
	push(&ring, 'C');
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0x7ffffffe, 'A'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0x7fffffff, 'B'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0, 'C'));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));

	ring.sequence = 0x7ffffffc;
	push(&ring, 'A');
	push(&ring, 'B');
	push(&ring, 'C');
	push(&ring, 'D');
	KUNIT_EXPECT_EQ(test, 0x7fffffff, ring.lost.sequence);
	push(&ring, 'E');
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0x7ffffffc, 'A'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0x7ffffffd, 'B'));
	KUNIT_EXPECT_TRUE(test, read_event(&ring, 0x7ffffffe, 'C'));
	KUNIT_EXPECT_TRUE(test, read_lost(&ring, 0));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
}

/* A reader that can't take a record finds the same one again */
static void test_peek_keeps(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 1, 32);
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t len;
	int i;

	push(&ring, 'A');
	push(&ring, 'B');
	for (i = 0; i != 2; i++) {
		record = vevent_ring_peek(&ring, &lost, &len);
		KUNIT_ASSERT_NOT_NULL(test, record);
		KUNIT_EXPECT_TRUE(test, is_event(&ring, record, len, 0, 'A'));
	}
	vevent_ring_pop(&ring, record);
	for (i = 0; i != 2; i++) {
		record = vevent_ring_peek(&ring, &lost, &len);
		KUNIT_ASSERT_NOT_NULL(test, record);
		KUNIT_EXPECT_TRUE(test, is_lost(record, len, 1));
	}
	vevent_ring_pop(&ring, record);
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
}

/* Events that arrive while a reader copies an event do not change it */
static void test_push_while_reading_event(struct kunit *test)
{
	struct vevent_ring ring = make_ring(test, 2, 32);
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t len;
	int i;

	push(&ring, 0);
	push(&ring, 1);
	record = vevent_ring_peek(&ring, &lost, &len);
	KUNIT_ASSERT_NOT_NULL(test, record);
	for (i = 2; i != 10; i++)
		push(&ring, i);
	KUNIT_EXPECT_TRUE(test, is_event(&ring, record, len, 0, 0));
	vevent_ring_pop(&ring, record);

	KUNIT_EXPECT_TRUE(test, read_event(&ring, 1, 1));
	KUNIT_EXPECT_TRUE(test, read_lost(&ring, 9));
	KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
}

/*
 * Events arrive while a reader copies the lost-events record, the only one
 * left. The copy remains valid, and the reader removes no newer record.
 */
static void test_push_while_reading_lost(struct kunit *test)
{
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	int pushed, i;
	size_t len;

	for (pushed = 0; pushed != 4; pushed++) {
		struct vevent_ring ring = make_ring(test, 1, 32);

		push(&ring, 0);
		push(&ring, 1);
		KUNIT_EXPECT_TRUE(test, read_event(&ring, 0, 0));

		record = vevent_ring_peek(&ring, &lost, &len);
		KUNIT_ASSERT_NOT_NULL(test, record);
		for (i = 0; i != pushed; i++)
			push(&ring, 2 + i);
		KUNIT_EXPECT_TRUE(test, is_lost(record, len, 1));
		vevent_ring_pop(&ring, record);

		if (pushed)
			KUNIT_EXPECT_TRUE(test, read_event(&ring, 2, 2));
		if (pushed > 1)
			KUNIT_EXPECT_TRUE(test, read_lost(&ring, 1 + pushed));
		KUNIT_EXPECT_TRUE(test, nothing_to_read(&ring));
	}
}

/* Model of the ring: a list of records, the last of them may be lost-events */
#define MODEL_MAX	8

struct model {
	struct {
		bool lost;
		u32 sequence;
		u32 name;
	} rec[MODEL_MAX];
	u32 num;
	u32 sequence;
};

static bool model_push(struct model *model, u32 depth, u32 name)
{
	u32 sequence = model->sequence++ % 0x80000000;
	bool lost_before = model->num && model->rec[model->num - 1].lost;
	bool lost;

	if (lost_before)
		model->num--;
	lost = model->num == depth;
	model->rec[model->num].lost = lost;
	model->rec[model->num].sequence = sequence;
	model->rec[model->num].name = name;
	model->num++;
	return !(lost && lost_before);
}

static bool read_as_model(struct vevent_ring *ring, struct model *model)
{
	bool ok;

	if (!model->num)
		return nothing_to_read(ring);
	if (vevent_ring_empty(ring))
		return false;
	if (model->rec[0].lost)
		ok = read_lost(ring, model->rec[0].sequence);
	else
		ok = read_event(ring, model->rec[0].sequence,
				model->rec[0].name);
	model->num--;
	memmove(&model->rec[0], &model->rec[1],
		model->num * sizeof(model->rec[0]));
	return ok;
}

static void run_model(struct kunit *test, u32 depth, size_t payload_len,
		      u32 writes_of_256)
{
	struct vevent_ring ring = make_ring(test, depth, payload_len);
	struct model model = {};
	struct rnd_state rnd;
	u32 step;

	prandom_seed_state(&rnd, depth * 1000 + payload_len + writes_of_256);
	/* Start shortly before the sequence numbers wrap */
	ring.sequence = INT_MAX - 1000;
	model.sequence = ring.sequence;
	for (step = 0; step != 10000; step++) {
		if (prandom_u32_state(&rnd) % 256 < writes_of_256) {
			if (push(&ring, step) !=
			    model_push(&model, depth, step))
				break;
		} else if (!read_as_model(&ring, &model)) {
			break;
		}
	}
	KUNIT_EXPECT_EQ_MSG(test, 10000, step, "depth %u", depth);
	expect_guard(test, &ring);
}

static void test_model(struct kunit *test)
{
	u32 writes_of_256;
	u32 depth;
	size_t i;

	for (i = 0; i != ARRAY_SIZE(payload_lens); i++)
		for (depth = 1; depth != MODEL_MAX; depth++)
			for (writes_of_256 = 64; writes_of_256 <= 224;
			     writes_of_256 += 32)
				run_model(test, depth, payload_lens[i],
					  writes_of_256);
}

static struct kunit_case iommufd_veventq_test_cases[] = {
	KUNIT_CASE(test_layout),
	KUNIT_CASE(test_overflow),
	KUNIT_CASE(test_overflow_then_room),
	KUNIT_CASE(test_lost_before),
	KUNIT_CASE(test_sequence_wraps),
	KUNIT_CASE(test_peek_keeps),
	KUNIT_CASE(test_push_while_reading_event),
	KUNIT_CASE(test_push_while_reading_lost),
	KUNIT_CASE(test_model),
	{},
};

static struct kunit_suite iommufd_veventq_test_suite = {
	.name = "iommufd-veventq",
	.test_cases = iommufd_veventq_test_cases,
};

kunit_test_suites(&iommufd_veventq_test_suite);

MODULE_DESCRIPTION("KUnit tests for the event queues of vIOMMUs");
MODULE_LICENSE("GPL");
