// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of iopf_synchronize(): it returns after all faults of the group's
 * devices that may use an old attach handle. It waits for no other fault.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include "iommu-priv.h"

/* Long enough for a thread that has nothing to wait for */
#define SOON	msecs_to_jiffies(100)
/* Longer than any thread may take */
#define NEVER	(20 * HZ)

#define PASID	5

/* A device that faults. The first NUM_GROUPED devices share a group. */
#define NUM_GROUPED	2
#define NUM_DEVICES	3

struct test_device {
	struct device *dev;
	struct dev_iommu dev_iommu;
	/* The handler has a fault and holds it until @release */
	struct completion held;
	struct completion release;
	struct completion reported;
};

struct test_iopf {
	struct test_device devices[NUM_DEVICES];
	struct iommu_group *groups[2];
	struct iommu_domain domain;
	/* Two for the first group, one for the second */
	struct iommu_attach_handle handles[3];
	struct iommu_device iommu_dev;
	struct iopf_queue *queue;
	struct iommu_group *sync_group;
	struct completion synced;
	/* Number of faults that the handler has finished */
	atomic_t handled;
};

static int fake_set_dev_pasid(struct iommu_domain *domain, struct device *dev,
			      ioasid_t pasid, struct iommu_domain *old)
{
	return 0;
}

static const struct iommu_domain_ops fake_domain_ops = {
	.set_dev_pasid = fake_set_dev_pasid,
};

static void fake_page_response(struct device *dev, struct iopf_fault *evt,
			       struct iommu_page_response *msg)
{
}

static void fake_remove_dev_pasid(struct device *dev, ioasid_t pasid,
				  struct iommu_domain *domain)
{
}

static const struct iommu_ops fake_ops = {
	.page_response = fake_page_response,
	.remove_dev_pasid = fake_remove_dev_pasid,
	.default_domain_ops = &fake_domain_ops,
};

static struct iommu_group *group_of(struct test_iopf *t, unsigned int i)
{
	return t->groups[i < NUM_GROUPED ? 0 : 1];
}

/*
 * This group is not of the IOMMU core's making and has no default domain to
 * return to. Its PASIDs need none.
 */
static int attach(struct test_iopf *t, unsigned int i, unsigned int handle)
{
	return iommu_attach_device_pasid(&t->domain, t->devices[i].dev, PASID,
					 &t->handles[handle]);
}

static void detach(struct test_iopf *t, unsigned int i)
{
	iommu_detach_device_pasid(&t->domain, t->devices[i].dev, PASID);
}

/* Sleep on the way to the queue, as if waiting for a lock or memory */
static int slow_handler(struct iopf_group *group)
{
	struct test_device *d = container_of(group->fault_param->dev->iommu,
					     struct test_device, dev_iommu);
	struct test_iopf *t = container_of(group->attach_handle->domain,
					   struct test_iopf, domain);

	complete(&d->held);
	wait_for_completion(&d->release);
	iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS);
	iopf_free_group(group);
	atomic_inc(&t->handled);
	return 0;
}

static int report_thread(void *data)
{
	struct test_device *d = data;
	struct iopf_fault evt = {
		.fault = {
			.type = IOMMU_FAULT_PAGE_REQ,
			.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE |
				     IOMMU_FAULT_PAGE_REQUEST_PASID_VALID,
			.prm.pasid = PASID,
		},
	};

	iommu_report_device_fault(d->dev, &evt);
	complete(&d->reported);
	return 0;
}

static int sync_thread(void *data)
{
	struct test_iopf *t = data;

	iopf_synchronize(t->sync_group);
	complete(&t->synced);
	return 0;
}

static void start(struct kunit *test, int (*fn)(void *data), void *data)
{
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(fn, data, "iopf-test")));
}

static void start_sync(struct kunit *test, struct iommu_group *group)
{
	struct test_iopf *t = test->priv;

	t->sync_group = group;
	start(test, sync_thread, t);
}

static void hold_fault(struct kunit *test, struct test_device *d)
{
	start(test, report_thread, d);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&d->held, NEVER));
}

static void release_fault(struct kunit *test, struct test_device *d)
{
	complete(&d->release);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&d->reported, NEVER));
}

/* The handle is replaced while a fault that uses the old one is in flight */
static void test_waits_for_own_fault(struct kunit *test)
{
	struct test_iopf *t = test->priv;
	unsigned int i;

	/* Of either device in the group: the handle was made for one of them */
	for (i = 0; i != NUM_GROUPED; i++) {
		hold_fault(test, &t->devices[i]);
		detach(t, 0);
		KUNIT_ASSERT_EQ(test, 0, attach(t, 0, !i));
		start_sync(test, t->groups[0]);
		KUNIT_EXPECT_EQ(test, 0,
				wait_for_completion_timeout(&t->synced, SOON));
		KUNIT_EXPECT_EQ(test, i, atomic_read(&t->handled));

		complete(&t->devices[i].release);
		KUNIT_EXPECT_NE(test, 0,
				wait_for_completion_timeout(&t->synced, NEVER));
		KUNIT_EXPECT_EQ(test, i + 1, atomic_read(&t->handled));
		KUNIT_EXPECT_NE(test, 0,
				wait_for_completion_timeout(&t->devices[i].reported,
							    NEVER));
	}
}

static void test_does_not_wait_for_others(struct kunit *test)
{
	struct test_iopf *t = test->priv;

	hold_fault(test, &t->devices[NUM_GROUPED]);
	start_sync(test, t->groups[0]);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&t->synced, NEVER));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&t->handled));
	release_fault(test, &t->devices[NUM_GROUPED]);
}

/* A later fault finds the new handle, and does not prolong the wait */
static void test_later_fault_queues_behind(struct kunit *test)
{
	struct test_iopf *t = test->priv;
	struct test_device *d = &t->devices[0];

	hold_fault(test, d);
	start_sync(test, t->groups[0]);
	KUNIT_ASSERT_EQ(test, 0, wait_for_completion_timeout(&t->synced, SOON));

	start(test, report_thread, d);
	KUNIT_EXPECT_EQ(test, 0, wait_for_completion_timeout(&d->held, SOON));
	release_fault(test, d);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&t->synced, NEVER));
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&d->held, NEVER));
	release_fault(test, d);
}

static void test_without_faults(struct kunit *test)
{
	struct test_iopf *t = test->priv;

	start_sync(test, t->groups[0]);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&t->synced, NEVER));
}

static int iopf_test_init(struct kunit *test)
{
	static const char * const names[NUM_DEVICES] = { "a", "b", "c" };
	struct test_iopf *t;
	unsigned int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->domain.type = IOMMU_DOMAIN_UNMANAGED;
	t->domain.ops = &fake_domain_ops;
	t->domain.owner = &fake_ops;
	t->domain.iopf_handler = slow_handler;
	t->iommu_dev.ops = &fake_ops;
	init_completion(&t->synced);
	t->queue = iopf_queue_alloc("test");
	KUNIT_ASSERT_NOT_NULL(test, t->queue);

	for (i = 0; i != ARRAY_SIZE(t->groups); i++) {
		t->groups[i] = iommu_group_alloc();
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->groups[i]);
	}
	for (i = 0; i != NUM_DEVICES; i++) {
		struct test_device *d = &t->devices[i];

		d->dev = kunit_device_register(test, names[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, d->dev);
		init_completion(&d->held);
		init_completion(&d->release);
		init_completion(&d->reported);
		mutex_init(&d->dev_iommu.lock);
		init_rwsem(&d->dev_iommu.fault_sem);
		d->dev_iommu.iommu_dev = &t->iommu_dev;
		d->dev_iommu.max_pasids = PASID + 1;
		d->dev->iommu = &d->dev_iommu;
		KUNIT_ASSERT_EQ(test, 0,
				iommu_group_add_device(group_of(t, i), d->dev));
		KUNIT_ASSERT_EQ(test, 0,
				iopf_queue_add_device(t->queue, d->dev));
	}
	KUNIT_ASSERT_EQ(test, 0, attach(t, 0, 0));
	KUNIT_ASSERT_EQ(test, 0, attach(t, NUM_GROUPED, 2));
	return 0;
}

static void iopf_test_exit(struct kunit *test)
{
	struct test_iopf *t = test->priv;
	unsigned int i;

	detach(t, 0);
	detach(t, NUM_GROUPED);
	for (i = 0; i != NUM_DEVICES; i++) {
		iopf_queue_remove_device(t->queue, t->devices[i].dev);
		t->devices[i].dev->iommu = NULL;
		iommu_group_remove_device(t->devices[i].dev);
	}
	for (i = 0; i != ARRAY_SIZE(t->groups); i++)
		iommu_group_put(t->groups[i]);
	iopf_queue_free(t->queue);
}

static struct kunit_case iopf_test_cases[] = {
	KUNIT_CASE(test_waits_for_own_fault),
	KUNIT_CASE(test_does_not_wait_for_others),
	KUNIT_CASE(test_later_fault_queues_behind),
	KUNIT_CASE(test_without_faults),
	{},
};

static struct kunit_suite iopf_test_suite = {
	.name = "iommu-iopf",
	.init = iopf_test_init,
	.exit = iopf_test_exit,
	.test_cases = iopf_test_cases,
};

kunit_test_suites(&iopf_test_suite);

MODULE_DESCRIPTION("KUnit tests for waiting for I/O page faults");
MODULE_LICENSE("GPL");
