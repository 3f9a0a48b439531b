// SPDX-License-Identifier: GPL-2.0
/*
 * Take things away from a guest with busy devices. Nested domains are attached,
 * several threads send invalidations, and DMA faults fill an event queue until
 * it overflows. Then a device is reset, closed or unbound, a file is closed, or
 * the process is killed. Each test does one of these; smmuv3_random mixes them.
 *
 * Each test ends with a new guest whose devices move the right bytes. Debug
 * kernels detect use after free, leaks and locking errors.
 */
#include <pthread.h>
#include <time.h>

#include "smmuv3_events.h"

#define ASID_B		0x2b
#define VSID_B		0xfedcba98U

/* Shallow, to overflow */
#define DEPTH		2
#define FULL_LEN	(DEPTH * RECORD + LOST_RECORD)

#define NR_CMDS		2048
#define NR_THREADS	3

/* For slow machines and debug kernels */
#define TIMEOUT		240
#define BUSY_SEC	20
#define WAIT_MSEC	300

/* A transfer takes 100 ms: at its start, near its end, and after it */
static const unsigned int moments_usec[] = { 0, 99000, 105000 };

/* ---- A guest that is busy ---- */

/**
 * struct storm - A guest under load
 * @vm: the guest
 * @a: the device that is taken away
 * @b: a device of the same vIOMMU, which must not be affected
 * @q: event queue, full of faults of @a
 * @threads: threads that send invalidations
 * @nr_threads: number of @threads
 * @rounds: number of requests
 * @stop: request for the threads to end
 * @failed: a request had an impossible result
 */
struct storm {
	struct vm vm;
	struct guest_dev a;
	struct guest_dev b;
	struct veventq q;
	pthread_t threads[NR_THREADS];
	unsigned int nr_threads;
	unsigned int rounds;
	bool stop;
	bool failed;
};

static void *storm_invalidate(void *arg)
{
	static struct smmuv3_cmd cmds[NR_CMDS];
	struct storm *s = arg;
	unsigned int i;

	for (i = 0; i < NR_CMDS; i++)
		cmds[i] = i % 2 ? smmuv3_cfgi_cd(VSID, 0, true) :
				  smmuv3_tlbi_nh_va(ASID, GUEST_VA, true);
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		__u32 num = NR_CMDS;
		int ret;

		ret = iommufd_invalidate(s->vm.fd, s->vm.viommu,
					 IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					 cmds, sizeof(cmds[0]), &num);
		/* The iommufd is closed, or the vIOMMU is destroyed */
		if (ret == -EBADF || ret == -ENOENT)
			break;
		/* Only commands for A can be refused */
		if (ret == -EIO ? num >= NR_CMDS || num % 2 != 1 :
				  ret || num != NR_CMDS) {
			fprintf(TH_LOG_STREAM, "# invalidate: %d, %u done\n",
				ret, num);
			__atomic_store_n(&s->failed, true, __ATOMIC_RELAXED);
		}
		__atomic_add_fetch(&s->rounds, 1, __ATOMIC_RELAXED);
		/* Give a destroy its chance */
		usleep(500);
	}
	return NULL;
}

/* Return: the reason for a SKIP, or NULL */
static const char *storm_up(struct __test_metadata *_metadata, struct storm *s)
{
	struct vm *vm = &s->vm;
	const char *why;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->q.fd = -1;
	why = guest_init_nested(_metadata, vm, &s->a, EDU_WITH_RESET);
	if (why)
		return why;
	guest_dev_open(_metadata, &s->b, vm, 0);
	guest_dev_stage1(_metadata, &s->b, vm, ASID_B, 1);
	attach_stage1(_metadata, vm, &s->a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, &s->b, vm->viommu, VSID_B);
	dma_writes(&s->a, GUEST_VA, vm_page(vm, 0));
	dma_writes(&s->b, GUEST_VA, vm_page(vm, 1));

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, &s->q);
	for (i = 0; i < DEPTH + 2; i++)
		dma_store(&s->a, HOLE(i));
	return NULL;
}

/* Start the threads and wait until all of them work */
static void storm_rage(struct __test_metadata *_metadata, struct storm *s)
{
	while (s->nr_threads < NR_THREADS) {
		ASSERT_EQ(0, pthread_create(&s->threads[s->nr_threads], NULL,
					    storm_invalidate, s));
		s->nr_threads++;
	}
	while (__atomic_load_n(&s->rounds, __ATOMIC_RELAXED) < NR_THREADS)
		usleep(1000);
}

static void storm_calm(struct __test_metadata *_metadata, struct storm *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	while (s->nr_threads)
		ASSERT_EQ(0, pthread_join(s->threads[--s->nr_threads], NULL));
	ASSERT_FALSE(s->failed);
	s->stop = false;
	s->rounds = 0;
}

/* Open device A again, for the same vIOMMU */
static void storm_back(struct __test_metadata *_metadata, struct storm *s)
{
	guest_dev_open(_metadata, &s->a, &s->vm, EDU_WITH_RESET);
	guest_dev_stage1(_metadata, &s->a, &s->vm, ASID, 0);
	attach_stage1(_metadata, &s->vm, &s->a, s->vm.viommu, VSID);
}

static void storm_down(struct storm *s)
{
	guest_dev_close(&s->a);
	guest_dev_close(&s->b);
	close_fd(&s->q.fd);
	vm_close(&s->vm);
	s->vm.fd = -1;
}

/* The last guest leaves nothing behind for the next one */
static void storm_anew(struct __test_metadata *_metadata, struct storm *s)
{
	__u8 buf[2 * FULL_LEN];

	storm_calm(_metadata, s);
	storm_down(s);
	ASSERT_EQ(NULL, storm_up(_metadata, s));
	dma_reads(&s->a, GUEST_VA, vm_page(&s->vm, 0));
	dma_reads(&s->b, GUEST_VA, vm_page(&s->vm, 1));
	settle();
	test_read(FULL_LEN, &s->q, buf, sizeof(buf));
}

FIXTURE(storm)
{
	struct storm s;
};

FIXTURE_SETUP(storm)
{
	const char *why = storm_up(_metadata, &self->s);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(storm)
{
	storm_down(&self->s);
}

/* ---- One thing at a time ---- */

/* Start a fault */
static void storm_fault(struct storm *s, unsigned int moment)
{
	edu_start_store(&s->a.edu, HOLE(moment), ONE_ACCESS);
	usleep(moments_usec[moment]);
}

/* @take removes device A while it is busy, and @back restores it */
static void storm_rounds(struct __test_metadata *_metadata, struct storm *s,
			 void (*take)(struct __test_metadata *_metadata,
				      struct storm *s, unsigned int moment),
			 void (*back)(struct __test_metadata *_metadata,
				      struct storm *s))
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_rage(_metadata, s);
		take(_metadata, s, i);
		dma_writes(&s->b, GUEST_VA, vm_page(&s->vm, 1));
		back(_metadata, s);
		dma_writes(&s->a, GUEST_VA, vm_page(&s->vm, 0));
		storm_calm(_metadata, s);
	}
	storm_anew(_metadata, s);
}

static void take_by_reset(struct __test_metadata *_metadata, struct storm *s,
			  unsigned int moment)
{
	storm_fault(s, moment);
	FACT(vfio_pci_reset(&s->a.pci));
}

/* The device is still attached */
static void back_from_reset(struct __test_metadata *_metadata, struct storm *s)
{
	FACT(edu_init(&s->a.edu));
	dma_prime(&s->a);
}

TEST_F_TIMEOUT(storm, reset, TIMEOUT)
{
	storm_rounds(_metadata, &self->s, take_by_reset, back_from_reset);
}

static void take_by_close(struct __test_metadata *_metadata, struct storm *s,
			  unsigned int moment)
{
	storm_fault(s, moment);
	guest_dev_close(&s->a);
}

TEST_F_TIMEOUT(storm, device_closed, TIMEOUT)
{
	storm_rounds(_metadata, &self->s, take_by_close, storm_back);
}

static void *storm_unbind(void *arg)
{
	struct vfio_pci pci = *(struct vfio_pci *)arg;

	return (void *)(long)vfio_pci_give_back(&pci);
}

static void take_by_unbind(struct __test_metadata *_metadata, struct storm *s,
			   unsigned int moment)
{
	pthread_t unbinder;
	void *ret;

	ASSERT_EQ(0, pthread_create(&unbinder, NULL, storm_unbind, &s->a.pci));
	usleep(WAIT_MSEC * 1000);
	/* The unbind waits until the device is closed; until then it works */
	ASSERT_EQ(EBUSY, pthread_tryjoin_np(unbinder, &ret));
	dma_writes(&s->a, GUEST_VA, vm_page(&s->vm, 0));
	take_by_close(_metadata, s, moment);
	ASSERT_EQ(0, pthread_join(unbinder, &ret));
	ASSERT_EQ(NULL, ret);
	REFUSED(ENOENT, vfio_pci_open(&s->a.pci));
}

TEST_F_TIMEOUT(storm, unbound, TIMEOUT)
{
	storm_rounds(_metadata, &self->s, take_by_unbind, storm_back);
}

TEST_F_TIMEOUT(storm, closed_in_any_order, TIMEOUT)
{
	static const char *const orders[] = {
		"diq", "dqi", "idq", "iqd", "qdi", "qid",
	};
	struct storm *s = &self->s;
	const char *c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		storm_rage(_metadata, s);
		storm_fault(s, i % ARRAY_SIZE(moments_usec));
		for (c = orders[i]; *c; c++) {
			if (*c != 'd') {
				close_fd(*c == 'i' ? &s->vm.fd : &s->q.fd);
				continue;
			}
			guest_dev_close(&s->a);
			guest_dev_close(&s->b);
		}
		storm_anew(_metadata, s);
	}
}

TEST_F_TIMEOUT(storm, killed, TIMEOUT)
{
	struct storm *s = &self->s;
	struct doomed doomed;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_down(s);
		if (doomed_start(_metadata, &doomed)) {
			ASSERT_EQ(NULL, storm_up(_metadata, s));
			storm_rage(_metadata, s);
			storm_fault(s, i);
			doomed_is_ready(&doomed);
			for (;;)
				pause();
		}
		doomed_kill(_metadata, &doomed, 0);
		ASSERT_EQ(NULL, storm_up(_metadata, s));
	}
	storm_anew(_metadata, s);
}

/* Requests hold their objects only for a short time */
static int destroy_soon(int fd, __u32 id)
{
	const time_t end = time(NULL) + BUSY_SEC;
	int ret;

	do {
		ret = iommufd_destroy(fd, id);
	} while (ret == -EBUSY && time(NULL) < end);
	return ret;
}

TEST_F_TIMEOUT(storm, destroyed, TIMEOUT)
{
	struct storm *s = &self->s;
	struct guest_dev *a = &s->a, *b = &s->b;
	struct vm *vm = &s->vm;

	storm_rage(_metadata, s);
	storm_fault(s, 0);
	test_err_destroy(EBUSY, vm->fd, vm->ioas);
	test_err_destroy(EBUSY, vm->fd, vm->s2);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_err_destroy(EBUSY, vm->fd, a->hwpt);
	test_err_destroy(EBUSY, vm->fd, s->q.id);
	test_err_destroy(EBUSY, vm->fd, a->id);
	FACT(destroy_soon(vm->fd, a->vdev));
	test_detach(a);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_destroy(vm->fd, a->hwpt);
	dma_writes(b, GUEST_VA, vm_page(vm, 1));

	close_fd(&s->q.fd);
	test_destroy(vm->fd, s->q.id);
	FACT(destroy_soon(vm->fd, b->vdev));
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_attach(b, vm->s2);
	dma_writes(b, vm_ipa(vm, 1), vm_page(vm, 1));
	test_destroy(vm->fd, b->hwpt);
	FACT(destroy_soon(vm->fd, vm->viommu));
	test_err_destroy(EBUSY, vm->fd, vm->s2);
	test_detach(b);
	test_destroy(vm->fd, vm->s2);
	test_destroy(vm->fd, vm->ioas);
	storm_anew(_metadata, s);
}

TEST_HARNESS_MAIN
