/* SPDX-License-Identifier: GPL-2.0 */
/* Read and check vEVENTQs, and make a device fault. */
#ifndef SELFTEST_IOMMU_SMMUV3_EVENTS_H
#define SELFTEST_IOMMU_SMMUV3_EVENTS_H

#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include "smmuv3_utils.h"

#define TYPE_SMMUV3	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define LOST		IOMMU_VEVENTQ_FLAG_LOST_EVENTS

/* Event records, IHI 0070 section 7.3 */
#define EVT_0_ID	SMMUV3_MASK(7, 0)
#define EVT_0_SSV	SMMUV3_BIT(11)
#define EVT_0_SID	SMMUV3_MASK(63, 32)
#define EVT_1_STALL	SMMUV3_BIT(31)
#define EVT_1_PNU	SMMUV3_BIT(33)
#define EVT_1_IND	SMMUV3_BIT(34)
#define EVT_1_RNW	SMMUV3_BIT(35)
#define EVT_1_S2	SMMUV3_BIT(39)
#define EVT_1_CLASS	SMMUV3_MASK(41, 40)
#define EVT_1_CLASS_IN	2

enum event_id {
	C_BAD_STE = 0x04,
	C_BAD_CD = 0x0a,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_PERMISSION = 0x13,
};

/* From here on no address is ever mapped */
#define NOWHERE		(GUEST_VA + 0x40000000ULL)
/* Faults on different pages are never merged */
#define HOLE(n)		(NOWHERE + (n) * 0x1000ULL)

/* Address without guest memory, in the range of stage 2 */
#define NO_MEMORY	(TABLES_IPA + 0x10000000ULL)

/* Time to wait on a slow debug kernel, and to wait for silence */
#define ARRIVAL_MSEC	10000
#define ABSENCE_MSEC	300

/* Limit per stream of the host log, and of its trace: 10 lines in 5 s */
#define LOG_BURST	10
#define LOG_SEC		5

/* Bytes that edu moves in one transaction, for one event */
#define ONE_ACCESS	4

struct record {
	struct iommufd_vevent_header hdr;
	struct iommu_vevent_arm_smmuv3 payload;
};

#define RECORD		((int)sizeof(struct record))
#define LOST_RECORD	((int)sizeof(struct iommufd_vevent_header))

/**
 * struct veventq - A vEVENTQ
 * @id: its object
 * @fd: its file
 */
struct veventq {
	__u32 id;
	int fd;
};

static inline int veventq_alloc(int fd, __u32 viommu, __u32 depth,
				struct veventq *q)
{
	return iommufd_veventq_alloc(fd, viommu, TYPE_SMMUV3, depth, &q->id,
				     &q->fd);
}

static inline int veventq_read(const struct veventq *q, void *buf, size_t count)
{
	/* syscall(): the compiler rejects a bad buffer or count of read() */
	ssize_t len = syscall(SYS_read, q->fd, buf, count);

	return len < 0 ? -errno : len;
}

/* Return: revents of poll(), 0 after a timeout */
static inline int veventq_poll(const struct veventq *q, int msec)
{
	struct pollfd pfd = { .fd = q->fd, .events = ~POLLNVAL };

	return poll(&pfd, 1, msec) < 0 ? -errno : pfd.revents;
}

#define test_veventq_alloc(_fd, _viommu, _depth, _q)			\
	FACT(veventq_alloc(_fd, _viommu, _depth, _q))
#define test_err_veventq_alloc(_errno, _fd, _viommu, _depth, _q)	\
	REFUSED(_errno, veventq_alloc(_fd, _viommu, _depth, _q))

#define test_read(_len, _q, _buf, _count)				\
	FACT_IS(_len, veventq_read(_q, _buf, _count))
#define test_err_read(_errno, _q, _buf, _count)				\
	REFUSED(_errno, veventq_read(_q, _buf, _count))

#define test_empty(_q)		FACT(veventq_poll(_q, 0))
/* The queue is empty, and no event is on its way */
#define test_silent(_q)		FACT((settle(), veventq_poll(_q, 0)))
#define test_readable(_q)						\
	FACT_IS(POLLIN | POLLRDNORM, veventq_poll(_q, ARRIVAL_MSEC))

/*
 * Return after the kernel has read all events of the SMMU. No fixed time is
 * long enough on a busy emulator. But the kernel reads events in a real-time
 * thread on the CPU of the SMMU's interrupt. A thread of the test runs on that
 * CPU only after the real-time thread is done.
 */
static inline void after_events(void)
{
	cpu_set_t before, there;
	unsigned int irq, cpu;
	char *line = NULL;
	char path[64];
	size_t len = 0;
	FILE *irqs, *f;

	irqs = fopen("/proc/interrupts", "re");
	if (!irqs || sched_getaffinity(0, sizeof(before), &before))
		goto out;
	while (getline(&line, &len, irqs) > 0) {
		/* Interrupt of the event queue, or of all queues */
		if (!strstr(line, "arm-smmu-v3-") ||
		    sscanf(line, " %u:", &irq) != 1)
			continue;
		snprintf(path, sizeof(path),
			 "/proc/irq/%u/effective_affinity_list", irq);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%u", &cpu) == 1) {
			CPU_ZERO(&there);
			CPU_SET(cpu, &there);
			sched_setaffinity(0, sizeof(there), &there);
		}
		fclose(f);
	}
	sched_setaffinity(0, sizeof(before), &before);
	free(line);
out:
	if (irqs)
		fclose(irqs);
}

/* Wait until late events have arrived */
static inline void settle(void)
{
	usleep(ABSENCE_MSEC * 1000);
	after_events();
}

/* One access of the device, with any result */
#define dma_store(_gdev, _iova)						\
	FACT(edu_store(&(_gdev)->edu, _iova, ONE_ACCESS))
#define dma_load(_gdev, _iova)						\
	FACT(edu_load(&(_gdev)->edu, _iova, ONE_ACCESS))

static inline int record_differs(const struct record *r, const char *what,
				 __u64 want, __u64 got)
{
	fprintf(TH_LOG_STREAM,
		"# record: flags %#x sequence %u evt %016llx %016llx %016llx %016llx\n",
		r->hdr.flags, r->hdr.sequence,
		(unsigned long long)le64toh(r->payload.evt[0]),
		(unsigned long long)le64toh(r->payload.evt[1]),
		(unsigned long long)le64toh(r->payload.evt[2]),
		(unsigned long long)le64toh(r->payload.evt[3]));
	fprintf(TH_LOG_STREAM, "# %s is %#llx, not %#llx\n", what,
		(unsigned long long)got, (unsigned long long)want);
	return -EBADMSG;
}

/* Compare the event ID, the device and the sequence number */
static inline int record_is(const struct record *r, __u32 sequence,
			    enum event_id id, __u32 sid)
{
	const __u64 mask = EVT_0_ID | EVT_0_SSV | EVT_0_SID;
	const __u64 want = smmuv3_put(EVT_0_ID, id) |
			   smmuv3_put(EVT_0_SID, sid);
	__u64 got = le64toh(r->payload.evt[0]) & mask;

	if (r->hdr.flags)
		return record_differs(r, "flags", 0, r->hdr.flags);
	if (r->hdr.sequence != sequence)
		return record_differs(r, "sequence", sequence, r->hdr.sequence);
	if (got != want)
		return record_differs(r, "ID, SSV and SID", want, got);
	return 0;
}

/* Compare a stage 1 fault of a device access to the page of @va */
static inline int record_is_fault(const struct record *r, __u32 sequence,
				  enum event_id id, __u32 sid, __u64 va,
				  bool read)
{
	const __u64 mask = EVT_1_STALL | EVT_1_PNU | EVT_1_IND | EVT_1_RNW |
			   EVT_1_S2 | EVT_1_CLASS;
	const __u64 want = (read ? EVT_1_RNW : 0) |
			   smmuv3_put(EVT_1_CLASS, EVT_1_CLASS_IN);
	__u64 got = le64toh(r->payload.evt[1]) & mask;
	__u64 addr = le64toh(r->payload.evt[2]);
	int ret = record_is(r, sequence, id, sid);

	if (ret)
		return ret;
	if (got != want)
		return record_differs(r, "word 1", want, got);
	if ((addr ^ va) & ~0xfffULL)
		return record_differs(r, "address", va, addr);
	return 0;
}

static inline int header_is_lost(const struct iommufd_vevent_header *hdr,
				 __u32 sequence)
{
	if (hdr->flags == LOST && hdr->sequence == sequence)
		return 0;
	fprintf(TH_LOG_STREAM, "# header: flags %#x sequence %u\n", hdr->flags,
		hdr->sequence);
	return -EBADMSG;
}

/* Wait for the next record and read it; not for a lost-events record */
static inline int veventq_next(const struct veventq *q, struct record *r)
{
	if (veventq_poll(q, ARRIVAL_MSEC) != (POLLIN | POLLRDNORM))
		return -ETIME;
	return veventq_read(q, r, sizeof(*r));
}

#define test_next(_q, _r)	FACT_IS(RECORD, veventq_next(_q, _r))

#define test_fault(_q, _seq, _id, _sid, _va, _read)			\
do {									\
	struct record __r;						\
									\
	test_next(_q, &__r);						\
	FACT(record_is_fault(&__r, _seq, _id, _sid, _va, _read));	\
} while (0)

/* A write of the device to HOLE(@_n) makes the next record */
#define test_miss(_q, _seq, _sid, _gdev, _n)				\
do {									\
	const __u64 __va = HOLE(_n);					\
									\
	dma_store(_gdev, __va);						\
	test_fault(_q, _seq, F_TRANSLATION, _sid, __va, false);		\
} while (0)

/* ---- Two guests, one SMMU ---- */

/**
 * struct guests - Two vIOMMUs, each with a device and an event queue
 * @vm: memory, and the vIOMMU of @a
 * @a: first device
 * @b: second device
 * @viommu_b: vIOMMU of @b
 * @qa: events of @a; allocated by the test
 * @qb: events of @b; allocated by the test
 */
struct guests {
	struct vm vm;
	struct guest_dev a;
	struct guest_dev b;
	__u32 viommu_b;
	struct veventq qa;
	struct veventq qb;
};

/* Return: the reason for a SKIP, or NULL */
static inline const char *guests_init(struct __test_metadata *_metadata,
				      struct guests *g, unsigned int asid_b)
{
	g->qa.fd = -1;
	g->qb.fd = -1;
	return guest_init_apart(_metadata, &g->vm, &g->a, &g->b, asid_b,
				&g->viommu_b);
}

static inline void guests_close(struct guests *g)
{
	close_fd(&g->qb.fd);
	close_fd(&g->qa.fd);
	guest_dev_close(&g->b);
	guest_dev_close(&g->a);
	vm_close(&g->vm);
}

/* ---- The host's log ---- */

/* Count the new lines with @what; -1: some were overwritten */
static inline int log_counts(int fd, const char *what)
{
	char line[1024];
	int count = 0;
	ssize_t len;

	while ((len = read(fd, line, sizeof(line) - 1)) >= 0) {
		line[len] = 0;
		count += !!strstr(line, what);
	}
	return errno == EAGAIN ? count : -1;
}

#endif
