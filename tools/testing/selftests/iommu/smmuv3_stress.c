// SPDX-License-Identifier: GPL-2.0
/*
 * What can be taken away from a guest while its devices are busy: nested
 * domains are attached, invalidations are under way in several threads, DMA
 * faults into an event queue that has overflowed, and then a device is reset,
 * closed or unbound, a file is closed, or the process is killed. First each of
 * these alone, then all of them at random.
 *
 * Each test ends with a guest that is set up anew and whose devices move the
 * right bytes. Use after free, leaks and locking are for a debug kernel to see.
 *
 * STRESS_SEC sets for how long the random test goes on; with the STRESS_SEED
 * that it printed, its processes draw the same numbers again.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "smmuv3_events.h"

/* The edu device with a reset, behind a port of its own, and one on the bus */
#define DEV_A		4
#define DEV_B		0
#define ASID_B		0x2b
#define VSID_B		0xfedcba98U

/* Shallow, for it has to overflow */
#define DEPTH		2
#define FULL_LEN	(DEPTH * RECORD + LOST_RECORD)

#define NR_CMDS		2048
#define NR_THREADS	3

/* Slow machines, debug kernels */
#define TIMEOUT		240
#define BUSY_SEC	20
#define WAIT_MSEC	300

/* A transfer ends after 100 ms: at its begin, about its end, and behind it */
static const unsigned int moments_usec[] = { 0, 99000, 105000 };

/* ---- A guest that is busy ---- */

/**
 * struct storm - A guest, and what is under way for it
 * @vm: the guest
 * @a: the device that something is done to
 * @b: a device of the same vIOMMU that is never to notice
 * @q: what the faults of @a have filled
 * @threads: make invalidations
 * @nr_threads: how many there are
 * @rounds: requests that have been made
 * @stop: the threads are to end
 * @failed: a request had a result that it can't have
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
		/* The iommufd is closed, the vIOMMU is destroyed */
		if (ret == -EBADF || ret == -ENOENT)
			break;
		/* What can be refused is a command that names A */
		if (ret == -EIO ? num >= NR_CMDS || num % 2 != 1 :
				  ret || num != NR_CMDS) {
			fprintf(TH_LOG_STREAM, "# invalidate: %d, %u done\n",
				ret, num);
			__atomic_store_n(&s->failed, true, __ATOMIC_RELAXED);
		}
		__atomic_add_fetch(&s->rounds, 1, __ATOMIC_RELAXED);
		/* Let somebody destroy it */
		usleep(500);
	}
	return NULL;
}

/* Return: the reason for a SKIP, or NULL */
static const char *storm_up(struct __test_metadata *_metadata, struct storm *s)
{
	const char *why = guest_dev_why_not(DEV_A);
	struct vm *vm = &s->vm;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->q.fd = -1;
	why = why ?: guest_init_nested(_metadata, vm, &s->a, DEV_A);
	if (why)
		return why;
	guest_dev_open(_metadata, &s->b, vm, DEV_B);
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

/* Returns with all threads at work */
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

/* A fault is under way, and something happens now */
static void storm_strike(struct storm *s, unsigned int i)
{
	edu_start_store(&s->a.edu, HOLE(i), ONE_ACCESS);
	usleep(moments_usec[i]);
}

/* Device A comes back, to the vIOMMU that it was taken from */
static void storm_back(struct __test_metadata *_metadata, struct storm *s)
{
	guest_dev_open(_metadata, &s->a, &s->vm, DEV_A);
	guest_dev_stage1(_metadata, &s->a, &s->vm, ASID, 0);
	attach_stage1(_metadata, &s->vm, &s->a, s->vm.viommu, VSID);
	dma_writes(&s->a, GUEST_VA, vm_page(&s->vm, 0));
}

/* What is closed already is -1 */
static void close_fd(int *fd)
{
	close(*fd);
	*fd = -1;
}

static void storm_down(struct storm *s)
{
	guest_dev_close(&s->a);
	guest_dev_close(&s->b);
	close_fd(&s->q.fd);
	vm_close(&s->vm);
	s->vm.fd = -1;
}

/* Nothing of the last guest is in the way of the next one */
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

TEST_F_TIMEOUT(storm, reset, TIMEOUT)
{
	struct storm *s = &self->s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_rage(_metadata, s);
		storm_strike(s, i);
		FACT(vfio_pci_reset(&s->a.pci));
		dma_writes(&s->b, GUEST_VA, vm_page(&s->vm, 1));
		/* It is attached as before */
		FACT(edu_init(&s->a.edu));
		dma_prime(&s->a);
		dma_writes(&s->a, GUEST_VA, vm_page(&s->vm, 0));
		storm_calm(_metadata, s);
	}
	storm_anew(_metadata, s);
}

TEST_F_TIMEOUT(storm, device_closed, TIMEOUT)
{
	struct storm *s = &self->s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_rage(_metadata, s);
		storm_strike(s, i);
		guest_dev_close(&s->a);
		dma_writes(&s->b, GUEST_VA, vm_page(&s->vm, 1));
		storm_back(_metadata, s);
		storm_calm(_metadata, s);
	}
	storm_anew(_metadata, s);
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
		storm_strike(s, i % ARRAY_SIZE(moments_usec));
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
	int ready[2], status;
	unsigned int i;
	char byte = 0;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_down(s);
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			ASSERT_EQ(NULL, storm_up(_metadata, s));
			storm_rage(_metadata, s);
			storm_strike(s, i);
			if (write(ready[1], &byte, 1) == 1)
				for (;;)
					pause();
			_exit(1);
		}
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		close(ready[0]);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(NULL, storm_up(_metadata, s));
	}
	storm_anew(_metadata, s);
}

/* Requests hold what they work on: not for long */
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
	storm_strike(s, 0);
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

static void *storm_unbind(void *arg)
{
	struct vfio_pci pci = *(struct vfio_pci *)arg;

	return (void *)(long)vfio_pci_give_back(&pci);
}

TEST_F_TIMEOUT(storm, unbound, TIMEOUT)
{
	struct storm *s = &self->s;
	pthread_t unbinder;
	unsigned int i;
	void *ret;

	for (i = 0; i < ARRAY_SIZE(moments_usec); i++) {
		storm_rage(_metadata, s);
		ASSERT_EQ(0, pthread_create(&unbinder, NULL, storm_unbind,
					    &s->a.pci));
		usleep(WAIT_MSEC * 1000);
		/* vfio-pci waits for whoever has it open, who need not care */
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(unbinder, &ret));
		dma_writes(&s->a, GUEST_VA, vm_page(&s->vm, 0));
		storm_strike(s, i);
		guest_dev_close(&s->a);
		ASSERT_EQ(0, pthread_join(unbinder, &ret));
		ASSERT_EQ(NULL, ret);
		REFUSED(ENOENT, vfio_pci_open(&s->a.pci));
		dma_writes(&s->b, GUEST_VA, vm_page(&s->vm, 1));
		storm_back(_metadata, s);
		storm_calm(_metadata, s);
	}
	storm_anew(_metadata, s);
}

/* ---- All at random ---- */

#define RANDOM_SEC	15
#define NR_WORKERS	3
#define NR_IDS		4

enum kind { S2, VIOMMU, HWPT, VDEV, VEVENTQ, NR_KINDS };

/* What the processes share: ids, some of which are out of date */
struct commons {
	struct vm vm;
	__u32 ids[NR_KINDS][NR_IDS];
	unsigned long done;
	unsigned long refused;
	bool stop;
};

/* A process with a device of its own */
struct worker {
	struct commons *c;
	struct guest_dev dev;
	struct veventq q;
	__u32 vsid;
	unsigned int rand;
};

static unsigned int draw(struct worker *w, unsigned int nr)
{
	return rand_r(&w->rand) % nr;
}

static __u32 *draw_id(struct worker *w, enum kind kind)
{
	return &w->c->ids[kind][draw(w, NR_IDS)];
}

static int worker_open(struct worker *w)
{
	struct vfio_pci *pci = &w->dev.pci;
	int ret;

	guest_dev_close(&w->dev);
	ret = vfio_pci_open(pci);
	ret = ret ?: vfio_pci_bind_iommufd(pci, w->c->vm.fd);
	ret = ret ?: vfio_pci_map_bar0(pci);
	ret = ret ?: vfio_pci_set_master(pci);
	w->dev.edu.bar = pci->bar0;
	return ret;
}

static int worker_veventq(struct worker *w)
{
	int ret;

	close_fd(&w->q.fd);
	ret = veventq_alloc(w->c->vm.fd, *draw_id(w, VIOMMU), DEPTH, &w->q);
	if (!ret)
		*draw_id(w, VEVENTQ) = w->q.id;
	return ret;
}

static int worker_invalidate(struct worker *w)
{
	struct smmuv3_cmd cmds[256];
	__u32 num = ARRAY_SIZE(cmds);
	unsigned int i;

	for (i = 0; i < num; i++)
		cmds[i] = i % 2 ? smmuv3_cfgi_cd(w->vsid, 0, true) :
				  smmuv3_tlbi_nh_asid(w->dev.asid);
	return iommufd_invalidate(w->c->vm.fd, *draw_id(w, VIOMMU),
				  IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
				  cmds, sizeof(cmds[0]), &num);
}

static int worker_act(struct worker *w)
{
	const __u64 ipa = vm_ipa(&w->c->vm, NR_DATA);
	struct vfio_pci *pci = &w->dev.pci;
	struct vm *vm = &w->c->vm;

	switch (draw(w, 16)) {
	case 0:
		return worker_open(w);
	case 1:
		return vfio_pci_reset(pci);
	case 2:
		return iommufd_hwpt_alloc(vm->fd, pci->dev_id, vm->ioas,
					  IOMMU_HWPT_ALLOC_NEST_PARENT,
					  draw_id(w, S2));
	case 3:
		return iommufd_viommu_alloc(vm->fd, pci->dev_id,
					    *draw_id(w, S2),
					    IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
					    draw_id(w, VIOMMU));
	case 4 ... 5:
		return iommufd_hwpt_alloc_ste(vm->fd, pci->dev_id,
					      *draw_id(w, VIOMMU),
					      smmuv3_ste_s1(w->dev.cd),
					      draw_id(w, HWPT));
	case 6 ... 7:
		return iommufd_vdevice_alloc(vm->fd, *draw_id(w, VIOMMU),
					     pci->dev_id, w->vsid,
					     draw_id(w, VDEV));
	case 8:
		return worker_veventq(w);
	case 9 ... 10:
		return vfio_pci_attach(pci, *draw_id(w, HWPT));
	case 11:
		return vfio_pci_attach(pci, *draw_id(w, S2));
	case 12:
		return worker_invalidate(w);
	case 13:
		if (!pci->bar0)
			return -EBADF;
		edu_start_store(&w->dev.edu, draw(w, 2) ? GUEST_VA : HOLE(0),
				ONE_ACCESS);
		return 0;
	case 14:
		/* Stage 2 changes under all vIOMMUs on it */
		return draw(w, 2) ? vm_map(vm, 8, ipa, READABLE | WRITEABLE) :
				    vm_unmap(vm, ipa, vm->page);
	default:
		return iommufd_destroy(vm->fd, *draw_id(w, draw(w, NR_KINDS)));
	}
}

static bool is_stopped(struct commons *c)
{
	return __atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

static int worker_main(struct worker *w)
{
	/* An id may be of another kind by now, so much can be wrong with it */
	static const int refusals[] = {
		EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EIO, ENODEV, ENOENT,
		EOPNOTSUPP,
	};
	unsigned int i;

	while (!is_stopped(w->c)) {
		int ret = worker_act(w);

		__atomic_add_fetch(ret ? &w->c->refused : &w->c->done, 1,
				   __ATOMIC_RELAXED);
		for (i = 0; ret && -ret != refusals[i]; i++)
			if (i + 1 == ARRAY_SIZE(refusals))
				return -ret;
	}
	return 0;
}

/* Has no device, so that nobody whom it waits for waits for it */
static int unbinder_main(struct worker *w)
{
	while (!is_stopped(w->c)) {
		struct vfio_pci pci = w[rand() % NR_WORKERS].dev.pci;

		if (vfio_pci_give_back(&pci) || vfio_pci_take(&pci))
			return 1;
		usleep(100000);
	}
	return 0;
}

static pid_t start(int (*fn)(struct worker *w), struct worker *w)
{
	pid_t pid;

	/* The successor of one that was killed draws other numbers */
	w->rand++;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(w));
	}
	return pid;
}

/* Return: how many can't be destroyed, even after those that hold them */
static unsigned int destroy_all(int fd)
{
	unsigned int i, left;
	__u32 id;

	for (i = 0; i < NR_KINDS; i++)
		for (id = 1, left = 0; id < 10000; id++)
			left += iommufd_destroy(fd, id) == -EBUSY;
	return left;
}

static long env_number(const char *name, long otherwise)
{
	const char *val = getenv(name);

	return val ? strtol(val, NULL, 0) : otherwise;
}

TEST_F_TIMEOUT(storm, random, TIMEOUT)
{
	static const unsigned int devs[NR_WORKERS] = { DEV_A, DEV_B, 1 };
	const unsigned int seed = env_number("STRESS_SEED", time(NULL));
	const time_t sec = env_number("STRESS_SEC", RANDOM_SEC);
	pid_t pids[NR_WORKERS], unbinder;
	struct worker w[NR_WORKERS] = {};
	unsigned int i, kills = 0;
	struct commons *c;
	int status;
	time_t end;

	storm_down(&self->s);
	TH_LOG("STRESS_SEED=%u STRESS_SEC=%ld", seed, (long)sec);
	srand(seed);
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, c);
	vm_init(_metadata, &c->vm);
	for (i = 0; i < NR_WORKERS; i++) {
		w[i].c = c;
		w[i].q.fd = -1;
		w[i].vsid = VSID + i;
		w[i].rand = rand();
		guest_dev_open(_metadata, &w[i].dev, &c->vm, devs[i]);
		guest_dev_stage1(_metadata, &w[i].dev, &c->vm, ASID + i, i);
		guest_dev_close(&w[i].dev);
	}
	for (i = 0; i < NR_WORKERS; i++)
		pids[i] = start(worker_main, &w[i]);
	unbinder = start(unbinder_main, w);

	for (end = time(NULL) + sec; time(NULL) < end; kills++) {
		usleep(rand() % 500000);
		i = rand() % NR_WORKERS;
		ASSERT_EQ(0, kill(pids[i], SIGKILL));
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			TH_LOG("status %#x", status);
		pids[i] = start(worker_main, &w[i]);
	}
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < NR_WORKERS; i++) {
		ASSERT_EQ(pids[i], waitpid(pids[i], &status, 0));
		ASSERT_EQ(0, status);
	}
	ASSERT_EQ(unbinder, waitpid(unbinder, &status, 0));
	ASSERT_EQ(0, status);
	TH_LOG("%lu done, %lu refused, %u killed", c->done, c->refused, kills);
	ASSERT_LT(kills, c->done);

	/* Nobody holds anything any more */
	ASSERT_EQ(0, destroy_all(c->vm.fd));
	vm_close(&c->vm);
	ASSERT_EQ(NULL, storm_up(_metadata, &self->s));
	storm_anew(_metadata, &self->s);
}

TEST_HARNESS_MAIN
