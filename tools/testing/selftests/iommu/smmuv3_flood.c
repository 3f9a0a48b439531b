// SPDX-License-Identifier: GPL-2.0
/*
 * Concurrent load. A VMM replaces the translation of a device without
 * disturbing its DMA. A guest makes endless faults without any loss of events
 * for another guest.
 */
#include <pthread.h>

#include "smmuv3_events.h"

/* IDs of another guest */
#define OTHER_VSID	0x4321
#define OTHER_ASID	0x2b

/* Minimum of both; a transfer takes 100 ms */
#define REPLACES	1000
#define TRANSFERS	100

/* ---- DMA of a device in a thread ---- */

/**
 * struct dma - A thread that runs DMA of a device until it is stopped
 * @dev: the device, used by this thread only
 * @iova: DMA address
 * @p: memory behind @iova
 * @thread: the thread, while @running
 * @running: the thread must be joined
 * @stop: request to end
 * @done: successful transfers
 * @result: first failure, which also ends the thread; else 0
 */
struct dma {
	struct guest_dev *dev;
	__u64 iova;
	void *p;
	pthread_t thread;
	bool running;
	bool stop;
	unsigned int done;
	int result;
};

/* Write and read, and check all bytes */
static void *dma_moves(void *arg)
{
	struct dma *dma = arg;
	struct edu *edu = &dma->dev->edu;
	enum edu_result result;

	while (!__atomic_load_n(&dma->stop, __ATOMIC_ACQUIRE)) {
		result = edu_write(edu, dma->iova, dma->p);
		if (result == EDU_MOVED)
			result = edu_read(edu, dma->iova, dma->p);
		if (result != EDU_MOVED) {
			__atomic_store_n(&dma->result, result,
					 __ATOMIC_RELEASE);
			break;
		}
		/* One write, and one read, checked by another write */
		__atomic_fetch_add(&dma->done, 3, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Make faults as fast as the device can: 1,024 in 100 ms. The event queue holds
 * 131,072, and a debug kernel on a busy host reads fewer than 10,000 per
 * second. So wait for the events of each transfer; otherwise events of another
 * device miss any deadline.
 */
static void *dma_faults(void *arg)
{
	struct dma *dma = arg;
	int ret;

	while (!__atomic_load_n(&dma->stop, __ATOMIC_ACQUIRE)) {
		ret = edu_store(&dma->dev->edu, dma->iova, EDU_BUF_SIZE);
		if (ret) {
			__atomic_store_n(&dma->result, ret, __ATOMIC_RELEASE);
			break;
		}
		__atomic_fetch_add(&dma->done, 1, __ATOMIC_RELAXED);
		after_events();
	}
	return NULL;
}

static int dma_start(struct dma *dma, void *(*what)(void *),
		     struct guest_dev *dev, __u64 iova, void *p)
{
	int ret;

	*dma = (struct dma) { .dev = dev, .iova = iova, .p = p };
	ret = pthread_create(&dma->thread, NULL, what, dma);
	dma->running = !ret;
	return -ret;
}

/* Return: 0, or the result that ended the thread */
static int dma_stop(struct dma *dma)
{
	if (!dma->running)
		return 0;
	__atomic_store_n(&dma->stop, true, __ATOMIC_RELEASE);
	pthread_join(dma->thread, NULL);
	dma->running = false;
	return dma->result;
}

static unsigned int dma_done(struct dma *dma)
{
	return __atomic_load_n(&dma->done, __ATOMIC_RELAXED);
}

/* Open the host log at its end */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* ---- Replacing a translation under DMA ---- */

/* All of these map data page 0 at its IPA, except STAGE1_HOLE */
enum state { STAGE2, STAGE1_A, STAGE1_B, BYPASS, STAGE1_HOLE, NR_STATES };

FIXTURE(replace)
{
	struct vm vm;
	struct guest_dev dev;
	struct veventq q;
	struct dma dma;
	int log;
	__u32 hwpt[NR_STATES];
};

FIXTURE_SETUP(replace)
{
	static const enum state stage1[] = { STAGE1_A, STAGE1_B, STAGE1_HOLE };
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	const char *why;
	unsigned int i;

	self->q.fd = -1;
	self->log = -1;
	why = guest_init_nested(_metadata, vm, dev, 0);
	if (why)
		SKIP(return, "%s", why);

	test_veventq_alloc(vm->fd, vm->viommu, 16, &self->q);
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	self->hwpt[STAGE2] = vm->s2;
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &self->hwpt[BYPASS]);
	for (i = 0; i < ARRAY_SIZE(stage1); i++) {
		guest_dev_stage1(_metadata, dev, vm, ASID + i, 0);
		if (stage1[i] != STAGE1_HOLE)
			FACT(smmuv3_s1_map(&dev->s1, vm_ipa(vm, 0),
					   vm_ipa(vm, 0), 4096, S1_RW));
		test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
				    smmuv3_ste_s1(dev->cd),
				    &self->hwpt[stage1[i]]);
	}
	test_attach(dev, self->hwpt[STAGE1_A]);
	dma_prime(dev);
	self->log = log_open();
	FACT(dma_start(&self->dma, dma_moves, dev, vm_ipa(vm, 0),
		       vm_page(vm, 0)));
}

FIXTURE_TEARDOWN(replace)
{
	dma_stop(&self->dma);
	close(self->log);
	close(self->q.fd);
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

/* Attach one after the other, until a transfer fails */
static void replace_round(struct __test_metadata *_metadata, struct dma *dma,
			  const __u32 *hwpt, const enum state *states,
			  unsigned int num)
{
	unsigned int i;

	for (i = 0; i < REPLACES || dma_done(dma) < TRANSFERS; i++) {
		if (__atomic_load_n(&dma->result, __ATOMIC_ACQUIRE))
			break;
		test_attach(dma->dev, hwpt[states[i % num]])
			TH_LOG("replace %u, by state %u", i, states[i % num]);
	}
	TH_LOG("%u replaces, %u transfers", i, dma_done(dma));
}

/* No transfer failed, and no event arrived */
#define test_undisturbed()						\
do {									\
	FACT(dma_stop(&self->dma));					\
	test_silent(&self->q);						\
	if (self->log >= 0)						\
		FACT(log_counts(self->log, "event 0x"));		\
} while (0)

TEST_F_TIMEOUT(replace, stage1_by_stage1, 180)
{
	static const enum state states[] = { STAGE1_B, STAGE1_A };

	replace_round(_metadata, &self->dma, self->hwpt, states,
		      ARRAY_SIZE(states));
	test_undisturbed();
}

TEST_F_TIMEOUT(replace, each_by_each, 180)
{
	static const enum state states[] = {
		STAGE2, STAGE1_A, BYPASS, STAGE1_B, STAGE2, BYPASS, STAGE1_A,
	};

	replace_round(_metadata, &self->dma, self->hwpt, states,
		      ARRAY_SIZE(states));
	test_undisturbed();
}

/* Proof that the test can fail: one of the tables lacks the page */
TEST_F_TIMEOUT(replace, a_gap_is_seen, 180)
{
	static const enum state states[] = { STAGE1_HOLE, STAGE1_A };
	struct record r;

	replace_round(_metadata, &self->dma, self->hwpt, states,
		      ARRAY_SIZE(states));
	ASSERT_NE(0, dma_stop(&self->dma));
	test_next(&self->q, &r);
	FACT(record_is(&r, 0, F_TRANSLATION, VSID));
	ASSERT_EQ(vm_ipa(&self->vm, 0), le64toh(r.payload.evt[2]) & ~0xfffULL);
}

/* ---- A guest with endless faults, and another ---- */

/* Faults of the other guest during the flood */
#define SINGLE_FAULTS	20

/*
 * @guests: the guest with endless faults as A, and the other one as B
 * @dma: DMA of A
 * @log_a: host log, to count lines of A
 * @log_b: host log, to count lines of B
 */
FIXTURE(flood)
{
	struct guests guests;
	struct dma dma;
	int log_a;
	int log_b;
};

FIXTURE_SETUP(flood)
{
	struct guests *g = &self->guests;
	const char *why;

	self->log_a = -1;
	self->log_b = -1;
	why = guests_init(_metadata, g, OTHER_ASID);
	if (why)
		SKIP(return, "%s", why);
	if (guest_dev_same_group(&g->a, &g->b))
		SKIP(return, "both devices are in one group");

	test_veventq_alloc(g->vm.fd, g->viommu_b, SINGLE_FAULTS, &g->qb);
	attach_stage1(_metadata, &g->vm, &g->a, g->vm.viommu, VSID);
	attach_stage1(_metadata, &g->vm, &g->b, g->viommu_b, OTHER_VSID);
}

FIXTURE_TEARDOWN(flood)
{
	dma_stop(&self->dma);
	close(self->log_b);
	close(self->log_a);
	guests_close(&self->guests);
}

/**
 * struct tally - Events read from a queue that overflows
 * @next: lowest possible sequence number of the next record
 * @no_gap: the next record is the event @next: the queue was empty
 * @events: number of events
 * @gaps: number of losses
 * @notices: number of losses with a lost-events record
 */
struct tally {
	__u32 next;
	bool no_gap;
	unsigned int events;
	unsigned int gaps;
	unsigned int notices;
};

/* Check that @r can come next. A lost-events record has a header only. */
static int tally_add(struct tally *t, const struct record *r)
{
	const __u32 sequence = r->hdr.sequence;
	bool is_notice = r->hdr.flags & LOST;
	bool is_gap = is_notice || sequence != t->next;

	if (sequence < t->next || (t->no_gap && is_gap))
		return record_differs(r, "sequence", t->next, sequence);
	t->next = sequence + 1;
	t->no_gap = is_notice;
	t->gaps += is_gap;
	if (is_notice) {
		t->notices++;
		return header_is_lost(&r->hdr, sequence);
	}
	t->events++;
	return record_is_fault(r, sequence, F_TRANSLATION, VSID, HOLE(0),
			       false);
}

/* Read the queue until it is empty. Return: 0, or -errno */
static int tally_read(struct tally *t, const struct veventq *q)
{
	__u8 buf[100 * sizeof(struct record)];
	int len, at, ret;

	while ((len = veventq_read(q, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len; ) {
			struct record r = {};

			memcpy(&r.hdr, buf + at, LOST_RECORD);
			if (!(r.hdr.flags & LOST))
				memcpy(&r, buf + at, RECORD);
			ret = tally_add(t, &r);
			if (ret)
				return ret;
			at += r.hdr.flags & LOST ? LOST_RECORD : RECORD;
		}
	}
	t->no_gap = true;
	return len;
}

static void check_flood(struct __test_metadata *_metadata,
			struct guests *g, struct dma *dma, __u32 depth,
			bool reads)
{
	struct veventq *qa = &g->qa, *qb = &g->qb;
	struct guest_dev *a = &g->a, *b = &g->b;
	struct tally t = { .no_gap = true };
	unsigned int i;

	test_veventq_alloc(g->vm.fd, g->vm.viommu, depth, qa);
	FACT(dma_start(dma, dma_faults, a, HOLE(0), NULL));
	test_readable(qa);
	for (i = 0; i < SINGLE_FAULTS; i++) {
		test_miss(qb, i, OTHER_VSID, b, 1 + i);
		if (reads)
			FACT(tally_read(&t, qa));
	}
	/* The flood lasted all the time, and none of its events came here */
	ASSERT_LE(SINGLE_FAULTS / 4, dma_done(dma));
	test_silent(qb);
	FACT(dma_stop(dma));
	/* The SMMU has one event queue, so now no event of A is pending */
	test_miss(qb, SINGLE_FAULTS, OTHER_VSID, b, 1);

	FACT(tally_read(&t, qa));
	TH_LOG("%u of %u events in %u transfers, %u gaps, %u notices",
	       t.events, t.next, dma_done(dma), t.gaps, t.notices);
	ASSERT_LE(t.next, dma_done(dma) * EDU_BUF_SIZE);
	ASSERT_LT(0, t.gaps);
	if (!reads) {
		ASSERT_EQ(depth, t.events);
		ASSERT_EQ(1, t.gaps);
		ASSERT_EQ(1, t.notices);
	}

	/* The queue has room again, and the next event arrives */
	test_miss(qa, t.next, VSID, a, 1);
	test_miss(qb, SINGLE_FAULTS + 1, OTHER_VSID, b, 2);
	test_silent(qa);
	test_silent(qb);
}

TEST_F_TIMEOUT(flood, read, 120)
{
	check_flood(_metadata, &self->guests, &self->dma, 64, true);
}

TEST_F_TIMEOUT(flood, never_read, 120)
{
	check_flood(_metadata, &self->guests, &self->dma, 64, false);
}

TEST_F_TIMEOUT(flood, read_depth_1, 120)
{
	check_flood(_metadata, &self->guests, &self->dma, 1, true);
}

TEST_F_TIMEOUT(flood, never_read_depth_1, 120)
{
	check_flood(_metadata, &self->guests, &self->dma, 1, false);
}

/* Stage 2 faults go to the host: a limited number, but some of each guest */
TEST_F_TIMEOUT(flood, of_stage2, 120)
{
	const __u64 va = GUEST_VA + 0x100000;
	struct guests *g = &self->guests;
	struct guest_dev *a = &g->a, *b = &g->b;
	struct veventq *qa = &g->qa, *qb = &g->qb;
	time_t start, spent;
	unsigned int i = 0;
	int lines;

	FACT(smmuv3_s1_map(&a->s1, va, NO_MEMORY, 4096, S1_RW));
	FACT(smmuv3_s1_map(&b->s1, va, NO_MEMORY, 4096, S1_RW));
	test_veventq_alloc(g->vm.fd, g->vm.viommu, 16, qa);
	/* Let the rate limit of earlier tests expire */
	sleep(LOG_SEC + 1);
	self->log_a = log_open();
	self->log_b = log_open();
	if (self->log_a < 0 || self->log_b < 0)
		SKIP(return, "no /dev/kmsg");

	start = time(NULL);
	FACT(dma_start(&self->dma, dma_faults, a, va, NULL));
	sleep(1);
	dma_store(b, va);
	do {
		test_miss(qb, i, OTHER_VSID, b, i);
		i++;
		spent = time(NULL) - start;
	} while (spent < 2 * LOG_SEC + 1);
	FACT(dma_stop(&self->dma));
	settle();
	spent = time(NULL) - start;

	lines = log_counts(self->log_a, a->pci.bdf);
	TH_LOG("%d lines of %u transfers in %ld s", lines,
	       dma_done(&self->dma), (long)spent);
	ASSERT_LT(LOG_BURST, lines);
	ASSERT_LE(lines, LOG_BURST * (spent / LOG_SEC + 2));
	FACT_IS(1, log_counts(self->log_b, b->pci.bdf));
	test_silent(qa);
	test_silent(qb);
}

TEST_HARNESS_MAIN
