// SPDX-License-Identifier: GPL-2.0
/*
 * Fail each allocation and each copy from and to user memory in the ioctls for
 * nesting, with a device behind an SMMUv3. First fail only the nth, then also
 * all later slab allocations, since the kernel tries some of them twice.
 *
 * A failure leaves nothing behind. All rounds of a test use the same iommufd,
 * device and vSID, and destroy their objects. At the end the device moves the
 * right bytes, and no reference is left. Debug kernels detect leaked memory.
 */
#include <sys/syscall.h>
#include <linux/memfd.h>

#include "../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "iommufd_fail_nth.h"
#include "smmuv3_events.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE_ALLOC	"/sys/kernel/debug/fail_page_alloc/"

/* For debug kernels and slow machines */
#define TIMEOUT		240

/*
 * On both sides of 1 GiB, to need new tables. They stay after an unmap, so each
 * round has other addresses.
 */
#define NEW_IPA		0x17fff0000ULL
#define NEW_STEP	0x40000000ULL
#define NEW_LEN		0x20000UL

#define NR_CMDS		200

/**
 * struct guest - A guest and the objects of a round
 * @vm: the guest
 * @dev: its device
 * @home: HWPT to attach between rounds, or 0
 * @attached: last HWPT that the round attached to
 * @ids: objects, oldest first
 * @nr_ids: number of @ids
 * @ipa: where the round maps
 * @memfd: shared memory, or -1
 * @fd: a file that the round opened
 * @next_fd: lowest free descriptor between rounds
 */
struct guest {
	struct vm vm;
	struct guest_dev dev;
	__u32 home;
	__u32 attached;
	__u32 ids[8];
	unsigned int nr_ids;
	__u64 ipa;
	int memfd;
	int fd;
	int next_fd;
};

/* ---- Rounds: 0, or -errno of the failed call ---- */

static __u32 *new_id(struct guest *g)
{
	return &g->ids[g->nr_ids];
}

static int keep(struct guest *g, int ret)
{
	g->nr_ids += !ret;
	return ret;
}

static int attach(struct guest *g, __u32 id)
{
	int ret = vfio_pci_attach(&g->dev.pci, id);

	if (!ret)
		g->attached = id;
	return ret;
}

static int detach(struct guest *g)
{
	int ret = vfio_pci_detach(&g->dev.pci);

	if (!ret)
		g->attached = 0;
	return ret;
}

/* Destroy the newest object, which must not fail for lack of memory */
static int destroy(struct guest *g)
{
	int ret = iommufd_destroy(g->vm.fd, g->ids[g->nr_ids - 1]);

	g->nr_ids -= !ret;
	return ret == -ENOMEM ? -EPROTO : ret;
}

static int hw_info(struct guest *g)
{
	struct iommu_hw_info_arm_smmuv3 info;
	__u32 len = sizeof(info), type;

	return iommufd_hw_info(g->vm.fd, g->dev.id, &type, &info, &len, NULL);
}

static int fault_queue(struct guest *g)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int ret = iommufd_cmd(g->vm.fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (ret)
		return ret;
	*new_id(g) = cmd.out_fault_id;
	g->fd = cmd.out_fault_fd;
	return keep(g, 0);
}

static int pgtable(struct guest *g, __u32 stage)
{
	const struct iommu_hwpt_arm_smmuv3_pgtable data = { .stage = stage };
	__u32 *id = new_id(g);
	int ret;

	ret = keep(g, iommufd_hwpt_alloc_data(g->vm.fd, g->dev.id, g->vm.ioas,
					      0,
					      IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE,
					      &data, sizeof(data), id));
	ret = ret ?: attach(g, *id);
	return ret ?: detach(g);
}

static int stage1(struct guest *g)
{
	return pgtable(g, 1);
}

static int stage2(struct guest *g)
{
	return pgtable(g, 2);
}

static int nest_parent(struct guest *g)
{
	return keep(g, iommufd_hwpt_alloc(g->vm.fd, g->dev.id, g->vm.ioas,
					  IOMMU_HWPT_ALLOC_NEST_PARENT,
					  new_id(g)));
}

static int viommu(struct guest *g)
{
	return keep(g, iommufd_viommu_alloc(g->vm.fd, g->dev.id, g->vm.s2,
					    IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
					    new_id(g)));
}

static int vdevice(struct guest *g)
{
	return keep(g, iommufd_vdevice_alloc(g->vm.fd, g->vm.viommu, g->dev.id,
					     VSID, new_id(g)));
}

static int nested(struct guest *g)
{
	const struct iommu_hwpt_arm_smmuv3 stes[] = {
		smmuv3_ste_s1(g->dev.cd), smmuv3_ste_bypass(),
		smmuv3_ste_abort(),
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(stes); i++)
		ret = keep(g, iommufd_hwpt_alloc_ste(g->vm.fd, g->dev.id,
						     g->vm.viommu, stes[i],
						     new_id(g)));
	return ret;
}

static int attaching(struct guest *g)
{
	const __u32 *hwpts = new_id(g);
	int ret;

	ret = nested(g);
	ret = ret ?: vdevice(g);
	ret = ret ?: attach(g, g->vm.s2);
	ret = ret ?: attach(g, hwpts[0]);
	ret = ret ?: attach(g, hwpts[1]);
	ret = ret ?: attach(g, hwpts[0]);
	ret = ret ?: attach(g, g->vm.s2);
	/* Last, since undo() checks by DMA that the old HWPT is in place */
	ret = ret ?: attach(g, hwpts[2]);
	return ret ?: detach(g);
}

static int veventq(struct guest *g)
{
	struct veventq q;
	int ret = veventq_alloc(g->vm.fd, g->vm.viommu, 64, &q);

	if (ret)
		return ret;
	*new_id(g) = q.id;
	g->fd = q.fd;
	return keep(g, 0);
}

static int invalidate(struct guest *g)
{
	struct smmuv3_cmd cmds[NR_CMDS];
	__u32 num = NR_CMDS;
	unsigned int i;
	int ret;

	for (i = 0; i < NR_CMDS; i++)
		cmds[i] = i % 2 ? smmuv3_cfgi_cd(VSID, 0, true) :
				  smmuv3_tlbi_nh_va(ASID, GUEST_VA, true);
	ret = vdevice(g);
	ret = ret ?: iommufd_invalidate(g->vm.fd, g->vm.viommu,
					IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					cmds, sizeof(cmds[0]), &num);
	return !ret && num != NR_CMDS ? -EPROTO : ret;
}

static int mapping(struct guest *g)
{
	int ret = iommufd_ioas_map(g->vm.fd, g->vm.ioas, g->vm.tables.va,
				   NEW_LEN, g->ipa, READABLE | WRITEABLE);

	return ret ?: vm_unmap(&g->vm, g->ipa, NEW_LEN);
}

/* When the domain fails to map a batch, other folios are pinned, too */
static int mapping_file(struct guest *g)
{
	int ret = iommufd_ioas_map_file(g->vm.fd, g->vm.ioas, g->memfd, 0,
					NEW_LEN, g->ipa, READABLE | WRITEABLE);

	return ret ?: vm_unmap(&g->vm, g->ipa, NEW_LEN);
}

/* Pages that follow each other in the file do not do so in memory */
static int scattered_memfd(size_t size, size_t page)
{
	int fd = syscall(__NR_memfd_create, "fail_nth", MFD_ALLOW_SEALING);
	const size_t half = size / page / 2;
	size_t i;

	if (fd == -1 || ftruncate(fd, size))
		return -1;
	for (i = 0; i != 2 * half; i++)
		if (pwrite(fd, "x", 1, (i / 2 + i % 2 * half) * page) != 1)
			return -1;
	return fd;
}

static int destroying(struct guest *g)
{
	int ret;

	ret = nested(g);
	ret = ret ?: vdevice(g);
	ret = ret ?: attach(g, g->ids[0]);
	ret = ret ?: detach(g);
	while (!ret && g->nr_ids)
		ret = destroy(g);
	return ret;
}

/* The device has an MSI; each nest parent maps its doorbell */
static int doorbell(struct guest *g)
{
	const __u32 *id = new_id(g);
	int ret;

	ret = nest_parent(g);
	ret = ret ?: attach(g, *id);
	return ret ?: attach(g, g->home);
}

/* A successful attach reserves the MSI window */
static int reserving(struct guest *g)
{
	int ret = attach(g, g->vm.s2);

	if (ret)
		return ret;
	ret = vm_map(&g->vm, 0, MSI_WINDOW, READABLE | WRITEABLE);
	if (ret != -EINVAL)
		return ret ?: -EPROTO;
	return detach(g);
}

/* ---- All of them ---- */

FIXTURE(fail_nth)
{
	struct guest g;
};

/*
 * @round: the calls to fail
 * @nested: the guest has a vIOMMU
 * @tables: the calls allocate page tables, which are single pages
 * @needs: required bit of IDR0
 * @msi: the device has an MSI
 */
FIXTURE_VARIANT(fail_nth)
{
	int (*round)(struct guest *g);
	bool nested;
	bool tables;
	__u64 needs;
	bool msi;
	bool memfd;
};

FIXTURE_VARIANT_ADD(fail_nth, hw_info)
{
	.round = hw_info,
};

FIXTURE_VARIANT_ADD(fail_nth, fault_queue)
{
	.round = fault_queue,
};

FIXTURE_VARIANT_ADD(fail_nth, stage1)
{
	.round = stage1,
	.tables = true,
	.needs = IDR0_S1P,
};

FIXTURE_VARIANT_ADD(fail_nth, stage2)
{
	.round = stage2,
	.tables = true,
	.needs = IDR0_S2P,
};

FIXTURE_VARIANT_ADD(fail_nth, nest_parent)
{
	.round = nest_parent,
	.tables = true,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, viommu)
{
	.round = viommu,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, vdevice)
{
	.round = vdevice,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, nested)
{
	.round = nested,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, attaching)
{
	.round = attaching,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, reserving)
{
	.round = reserving,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, veventq)
{
	.round = veventq,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, invalidate)
{
	.round = invalidate,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, mapping)
{
	.round = mapping,
	.tables = true,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, mapping_file)
{
	.round = mapping_file,
	.tables = true,
	.nested = true,
	.memfd = true,
};

FIXTURE_VARIANT_ADD(fail_nth, destroying)
{
	.round = destroying,
	.nested = true,
};

FIXTURE_VARIANT_ADD(fail_nth, doorbell)
{
	.round = doorbell,
	.tables = true,
	.nested = true,
	.msi = true,
};

/* Return: the reason for a SKIP, or NULL */
static const char *arm_failures(bool tables)
{
	if (!have_fault_injection ||
	    writeat(AT_FDCWD, FAILSLAB "task-filter", "Y") ||
	    writeat(AT_FDCWD, FAILSLAB "times", "-1") ||
	    writeat(AT_FDCWD, FAILSLAB "probability", "100"))
		return "no fault injection in the kernel";
	/*
	 * Slabs need pages, too, but not in every round, which would shift
	 * later failures. So fail single pages only for page tables.
	 */
	writeat(AT_FDCWD, FAIL_PAGE_ALLOC "min-order", tables ? "0" : "99");
	return NULL;
}

/* For the temporary arrays of iommufd, in bytes */
static int set_memory_limit(int fd, unsigned int limit)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
		.memory_limit = { .limit = limit },
	};

	return iommufd_cmd(fd, IOMMU_TEST_CMD, &cmd);
}

FIXTURE_SETUP(fail_nth)
{
	struct guest *g = &self->g;
	struct guest_dev *dev = &g->dev;
	struct vm *vm = &g->vm;
	const char *why = arm_failures(variant->tables);

	if (!why)
		why = variant->nested ?
			guest_init_nested(_metadata, vm, dev, 0) :
			guest_init(_metadata, vm, dev, 0);
	if (!why && (dev->info.idr[0] & variant->needs) != variant->needs)
		why = "the SMMU lacks that stage";
	if (why)
		SKIP(return, "%s", why);
	/* Memory of this process must not fail */
	ASSERT_EQ(0, madvise(vm->tables.va, TABLES_SIZE,
			     MADV_POPULATE_WRITE));
	ASSERT_EQ(0, madvise(vm->data, NR_DATA * vm->page,
			     MADV_POPULATE_WRITE));
	g->ipa = NEW_IPA;
	g->fd = -1;
	g->memfd = -1;
	if (variant->memfd) {
		/* A pin of up to four folios, a batch of five */
		if (set_memory_limit(vm->fd, 64))
			SKIP(return, "no test of iommufd in the kernel");
		g->memfd = scattered_memfd(NEW_LEN, vm->page);
		ASSERT_LE(0, g->memfd);
	}
}

FIXTURE_TEARDOWN(fail_nth)
{
	if (self->g.memfd > 0) {
		FACT_IS(0, set_memory_limit(self->g.vm.fd, 65536));
		/* Fails if one page is still pinned */
		FACT_IS(0, fcntl(self->g.memfd, F_ADD_SEALS, F_SEAL_WRITE));
		close(self->g.memfd);
	}
	guest_dev_close(&self->g.dev);
	vm_close(&self->g.vm);
}

/* Lowest free descriptor */
static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void undo(struct __test_metadata *_metadata, struct guest *g, int ret)
{
	int fd = g->vm.fd;

	/* After a failed attach the device keeps its HWPT */
	if (ret && ret != -EFAULT && g->attached) {
		test_err_destroy(EBUSY, fd, g->attached);
		dma_prime(&g->dev);
	}
	if (g->home)
		FACT(attach(g, g->home));
	else
		FACT(detach(g));
	/* The mapping can exist although the ioctl returned an error */
	if (vm_unmap(&g->vm, g->ipa, NEW_LEN) != -ENOENT)
		FACT_IS(-ENOENT, vm_unmap(&g->vm, g->ipa, NEW_LEN));
	g->ipa += NEW_STEP;
	close_fd(&g->fd);
	while (g->nr_ids)
		FACT(destroy(g));
	FACT_IS(g->next_fd, next_fd());
}

/* With CONFIG_IOMMUFD_TEST object lookups fail as well, also with EINVAL */
static bool is_injected(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT || ret == -ENOENT ||
	       ret == -EINVAL;
}

/*
 * failslab fails everything after the nth failure, for processes that ask for
 * it here. The write itself can fail.
 */
static void make_it_fail(struct __test_metadata *_metadata, int fd,
			 const char *val)
{
	if (pwrite(fd, val, 1, 0) != 1)
		ASSERT_EQ(1, pwrite(fd, val, 1, 0));
}

/**
 * struct failures - Rounds in which the nth allocation fails
 * @nth: state of the nth failure
 * @fd: enables failures of all allocations
 * @lasting: all allocations after the nth fail, too
 */
struct failures {
	struct fail_nth_state nth;
	int fd;
	bool lasting;
};

static void failures_init(struct __test_metadata *_metadata,
			  struct failures *f, bool lasting)
{
	*f = (struct failures){ .lasting = lasting };
	fail_nth_first(_metadata, &f->nth);
	f->fd = open("/proc/self/make-it-fail", O_RDWR);
	ASSERT_LE(0, f->fd);
}

static void failures_begin(struct __test_metadata *_metadata,
			   struct failures *f)
{
	__fail_nth_enable(_metadata, &f->nth);
	if (f->lasting && f->nth.iteration)
		make_it_fail(_metadata, f->fd, "1");
}

/* Return: true if another round follows */
static bool failures_end(struct __test_metadata *_metadata, struct failures *f)
{
	make_it_fail(_metadata, f->fd, "0");
	return fail_nth_next(_metadata, &f->nth);
}

static void failures_close(struct failures *f)
{
	close(f->fd);
	close(f->nth.proc_fd);
}

static void sweep(struct __test_metadata *_metadata, struct guest *g,
		  int (*round)(struct guest *g), bool lasting)
{
	unsigned int failed = 0;
	struct failures f;
	bool more;
	int ret;

	failures_init(_metadata, &f, lasting);
	g->next_fd = next_fd();
	do {
		failures_begin(_metadata, &f);
		ret = round(g);
		more = failures_end(_metadata, &f);
		if (!is_injected(ret))
			FACT_IS(0, ret)
				TH_LOG("round %u", f.nth.iteration);
		failed += !!ret;
		undo(_metadata, g, ret);
	} while (more);
	TH_LOG("%u rounds, %u failed", f.nth.iteration, failed);
	FACT_IS(0, ret);
	ASSERT_LT(0, failed);
	failures_close(&f);
}

TEST_F_TIMEOUT(fail_nth, sweep, TIMEOUT)
{
	struct guest *g = &self->g;
	struct guest_dev *dev = &g->dev;
	struct vm *vm = &g->vm;
	int efd = -1;

	if (variant->msi) {
		efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ASSERT_LE(0, efd);
		g->home = vm->s2;
		FACT(attach(g, g->home));
		FACT(vfio_pci_set_msi(&dev->pci, efd));
	}
	sweep(_metadata, g, variant->round, false);
	sweep(_metadata, g, variant->round, true);
	if (variant->msi) {
		ASSERT_TRUE(msi_arrives(dev, efd, MSI_WAIT_MSEC));
		FACT(vfio_pci_set_msi(&dev->pci, -1));
		close(efd);
		test_detach(dev);
	}
	if (variant->nested) {
		attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
		dma_writes(dev, GUEST_VA, vm_page(vm, 0));
		test_detach(dev);
		test_destroy(vm->fd, dev->hwpt);
		test_destroy(vm->fd, dev->vdev);
		test_destroy(vm->fd, vm->viommu);
		test_destroy(vm->fd, vm->s2);
	} else {
		test_attach(dev, vm->ioas);
		dma_prime(dev);
		dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
		test_detach(dev);
	}
	test_destroy(vm->fd, vm->ioas);
}

/*
 * Closing a device succeeds without memory, as when the OOM killer kills its
 * task. Failing to attach the device to its DMA domain would be a WARN.
 */
FIXTURE(fail_close)
{
	struct vm vm;
	struct guest_dev dev;
};

FIXTURE_SETUP(fail_close)
{
	const char *why = arm_failures(false);

	why = why ?: guest_init_nested(_metadata, &self->vm, &self->dev, 0);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(fail_close)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

static void close_sweep(struct __test_metadata *_metadata, struct vm *vm,
			struct guest_dev *dev, bool lasting)
{
	struct failures f;
	__u32 hwpt;
	bool more;

	failures_init(_metadata, &f, lasting);
	do {
		attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
		hwpt = dev->hwpt;
		/* munmap() can fail and leave the file open */
		ASSERT_EQ(0, munmap(dev->pci.bar0, dev->pci.bar0_size));
		dev->pci.bar0 = NULL;
		failures_begin(_metadata, &f);
		guest_dev_close(dev);
		more = failures_end(_metadata, &f);
		/* close() has unbound the device, not a later event */
		test_err_destroy(ENOENT, vm->fd, dev->vdev);
		test_destroy(vm->fd, hwpt);
		guest_dev_open(_metadata, dev, vm, 0);
		guest_dev_stage1(_metadata, dev, vm, ASID, 0);
	} while (more);
	TH_LOG("%u rounds", f.nth.iteration);
	failures_close(&f);
}

TEST_F_TIMEOUT(fail_close, sweep, TIMEOUT)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	close_sweep(_metadata, vm, dev, false);
	close_sweep(_metadata, vm, dev, true);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
}

TEST_HARNESS_MAIN
