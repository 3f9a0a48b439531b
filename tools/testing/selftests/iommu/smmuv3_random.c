// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on a vIOMMU and its objects. Several processes, each with a
 * device, are killed all the time, while devices are unbound from their driver
 * and bound again. At the end no reference is left, and the devices move the
 * right bytes for another guest. Debug kernels detect use after free, leaks and
 * locking errors.
 *
 * STRESS_SEC sets the duration. STRESS_SEED, with the seed of an earlier run,
 * makes the processes draw the same numbers.
 */
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>

#include "smmuv3_events.h"

#define RANDOM_SEC	15
#define TIMEOUT		240
#define NR_WORKERS	3
#define NR_IDS		4

/* Shallow, to overflow */
#define DEPTH		2

/* Actions to draw, out of NR_ACTS */
#define NR_ACTS		16
#define OPEN_DEVICE	0
#define ALLOC_S2	2
#define ALLOC_VIOMMU	3

enum kind { S2, VIOMMU, HWPT, VDEV, VEVENTQ, NR_KINDS };

/* Shared by the processes. Some of the ids are out of date. */
struct commons {
	struct vm vm;
	__u32 ids[NR_KINDS][NR_IDS];
	unsigned long done;
	unsigned long refused;
	bool stop;
};

/* A process with a device */
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

static int worker_act(struct worker *w, unsigned int act)
{
	const __u64 ipa = vm_ipa(&w->c->vm, NR_DATA);
	struct vfio_pci *pci = &w->dev.pci;
	struct vm *vm = &w->c->vm;

	switch (act) {
	case OPEN_DEVICE:
		return worker_open(w);
	case 1:
		return vfio_pci_reset(pci);
	case ALLOC_S2:
		return iommufd_hwpt_alloc(vm->fd, pci->dev_id, vm->ioas,
					  IOMMU_HWPT_ALLOC_NEST_PARENT,
					  draw_id(w, S2));
	case ALLOC_VIOMMU:
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
		/* Change stage 2 below all its vIOMMUs */
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

/* The id may belong to another kind of object, so many errnos are valid */
static bool may_refuse(unsigned int act, int error)
{
	switch (error) {
	case EAGAIN:
	case EBADF:
	case EBUSY:
	case EEXIST:
	case EINVAL:
	case EIO:
	case ENODEV:
	case ENOENT:
	case EOPNOTSUPP:
		return true;
	case ENOSPC:
		/* There are four vIOMMUs per device */
		return act == ALLOC_VIOMMU;
	case EFAULT:
		/* The mappings of a killed process are gone */
		return act == ALLOC_S2;
	case ENXIO:
		/* Unbound between the lookup of its file and the open */
		return act == OPEN_DEVICE;
	default:
		return false;
	}
}

static int worker_main(struct worker *w)
{
	while (!is_stopped(w->c)) {
		unsigned int act = draw(w, NR_ACTS);
		int ret = worker_act(w, act);

		__atomic_add_fetch(ret ? &w->c->refused : &w->c->done, 1,
				   __ATOMIC_RELAXED);
		if (ret && !may_refuse(act, -ret)) {
			fprintf(stderr, "# act %u: %s\n", act, strerror(-ret));
			return 1;
		}
	}
	return 0;
}

/* This process has no device, since an unbind waits for all users of one */
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

	/* The next process draws other numbers */
	w->rand++;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(w));
	}
	return pid;
}

/* Return: the number of objects that can't be destroyed after their users */
static unsigned int destroy_all(int fd)
{
	unsigned int i, left, absent;
	__u32 id;

	for (i = 0; i < NR_KINDS; i++) {
		/* A new object gets the lowest free id */
		left = 0;
		absent = 0;
		for (id = 1; absent < 1000; id++) {
			int ret = iommufd_destroy(fd, id);

			absent = ret == -ENOENT ? absent + 1 : 0;
			left += ret == -EBUSY;
		}
	}
	return left;
}

static long env_number(const char *name, long otherwise)
{
	const char *val = getenv(name);

	return val ? strtol(val, NULL, 0) : otherwise;
}

/* The test VM has no real-time clock */
static unsigned int random_seed(void)
{
	unsigned int seed = 0;

	getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	return seed;
}

FIXTURE(random)
{
	struct vm vm;
	struct guest_dev devs[NR_WORKERS];
};

/* SKIP if a device is missing; close the devices otherwise */
FIXTURE_SETUP(random)
{
	const char *why = guest_dev_why_not(EDU_WITH_RESET);

	why = why ?: guest_init_nested(_metadata, &self->vm, self->devs, 0);
	if (why)
		SKIP(return, "%s", why);
	guest_dev_close(self->devs);
	vm_close(&self->vm);
}

FIXTURE_TEARDOWN(random)
{
}

TEST_F_TIMEOUT(random, all, TIMEOUT)
{
	static const unsigned int devs[NR_WORKERS] = { 0, 1, EDU_WITH_RESET };
	const unsigned int seed = env_number("STRESS_SEED", random_seed());
	const time_t sec = env_number("STRESS_SEC", RANDOM_SEC);
	pid_t pids[NR_WORKERS], unbinder;
	struct worker w[NR_WORKERS] = {};
	struct guest_dev *dev = self->devs;
	struct vm *vm = &self->vm;
	unsigned int i, kills = 0;
	struct commons *c;
	int status;
	time_t end;

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

	/* No reference is left */
	ASSERT_EQ(0, destroy_all(c->vm.fd));
	vm_close(&c->vm);
	ASSERT_EQ(NULL, guest_init_nested(_metadata, vm, dev, devs[0]));
	for (i = 0; i < NR_WORKERS; i++, dev++) {
		if (i)
			guest_dev_open(_metadata, dev, vm, devs[i]);
		guest_dev_stage1(_metadata, dev, vm, ASID + i, i);
		attach_stage1(_metadata, vm, dev, vm->viommu, VSID + i);
		dma_writes(dev, GUEST_VA, vm_page(vm, i));
		dma_reads(dev, GUEST_VA, vm_page(vm, i));
	}
	while (dev-- != self->devs)
		guest_dev_close(dev);
	vm_close(vm);
}

TEST_HARNESS_MAIN
