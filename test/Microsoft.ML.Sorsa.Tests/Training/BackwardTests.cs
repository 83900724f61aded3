using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// Backward on a thread where no dispose scope is open, as libtorch runs it on a GPU. Tensors are counted per process, so nothing else may
/// run.
/// </summary>
[TestClass]
[TestCategory("Backward")]
[DoNotParallelize]
[TestCategory("Numeric")]
public sealed class BackwardTests
{
    [TestMethod]
    [DataRow(false, 0.0)]
    [DataRow(false, 0.2)]
    [DataRow(true, 0.0)]
    [DataRow(true, 0.2)]
    public void OnAThreadOfItsOwnItLeavesNoLiveTensors(bool checkpointing, double dropout)
    {
        using CausalLM model = TinyModel.Create(bias: true);
        AdapterSet adapters = TinyModel.Adapt(model, dropout: dropout);
        model.GradientCheckpointing = checkpointing;
        model.train();
        using Batch batch = Batch.Of(TinyModel.Rows(3), 0, TestDevice.Current);

        // The model keeps its rotary frequencies from its first forward on.
        using (no_grad())
        {
            model.Hidden(batch.InputIds, batch.LabelPositions).Dispose();
        }

        Collect();
        long before = Tensor.TotalCount;
        using (var pass = new BackwardPass())
        {
            using var scope = NewDisposeScope();
            Tensor hidden = model.Hidden(batch.InputIds, batch.LabelPositions), gradient = ones_like(hidden);
            long between = Tensor.TotalCount;

            OnAnotherThread(() => pass.Run(hidden, gradient));

            Assert.AreEqual(between, Tensor.TotalCount);
        }

        // Not one for the collector either.
        Assert.AreEqual(before, Tensor.TotalCount);
        Collect();
        Assert.AreEqual(before, Tensor.TotalCount);
        Assert.IsTrue(adapters.Trainable.All(named => named.Value.grad is not null));
    }

    /// <summary>Most of what is given is freed while backward runs, not at its end: a GPU's memory does not fill up with it.</summary>
    [TestMethod]
    public void WhatIsGivenIsFreedBeforeTheNextIsAskedFor()
    {
        Collect();
        long outside = Tensor.TotalCount;
        using var pass = new BackwardPass();
        long before = Tensor.TotalCount;
        var alive = new List<long>();

        OnAnotherThread(() =>
        {
            for (int i = 0; i < 5; i++)
            {
                pass.Give(2, () => [Made(), Made()]);
                alive.Add(Tensor.TotalCount - before);
            }
        });

        CollectionAssert.AreEqual(new long[] { 2, 2, 2, 2, 2 }, alive);
        pass.Dispose();
        Assert.AreEqual(outside, Tensor.TotalCount);

        // Moving leaves a tensor behind, which is not what is looked for.
        static Tensor Made()
        {
            using var scope = NewDisposeScope();
            return ones(3).OnDevice().DetachFromDisposeScope();
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void WhatAGradientThrowsReachesWhoeverCalledBackward(bool onAnotherThread)
    {
        using var scope = NewDisposeScope();
        using var pass = new BackwardPass();
        Tensor x = ones(4, requires_grad: true).OnDevice(), z = ones(4, requires_grad: true).OnDevice();
        Tensor y = Failing.Apply(Failing.Apply(x * 2, "second"), "first") + z;
        Exception? thrown = null;
        Action run = () => thrown = Assert.Throws<Exception>(() => pass.Run(y, ones(4).OnDevice()));
        if (onAnotherThread)
        {
            OnAnotherThread(run);
        }
        else
        {
            run();
        }

        Assert.IsInstanceOfType<InvalidDataException>(thrown);
        Assert.AreEqual("first", thrown.Message);
        Assert.IsNull(x.grad);

        // What did not depend on it may have come through.
        Assert.AreEqual(4, z.grad?.sum().item<float>() ?? 4);
    }

    /// <summary>An allocation that no machine has memory for, in the middle of backward.</summary>
    [TestMethod]
    public void MemoryThatIsExhaustedInBackwardIsAnException()
    {
        using var scope = NewDisposeScope();
        using var pass = new BackwardPass();
        Tensor y = Failing.Apply(ones(4, requires_grad: true).OnDevice(), Failing.OutOfMemory);

        Exception? thrown = null;
        OnAnotherThread(() => thrown = Assert.Throws<ExternalException>(() => pass.Run(y, ones(4).OnDevice())));

        Assert.IsTrue(TorchMemory.IsExhausted(thrown!), thrown!.Message);
        Assert.IsFalse(TorchMemory.IsExhausted(Assert.Throws<ExternalException>(() => ones(2).OnDevice().mm(ones(2).OnDevice()))));
        Assert.IsFalse(TorchMemory.IsExhausted(new InvalidOperationException("out of memory")));
    }

    /// <summary>Memory that is exhausted in forward: the graph so far goes, so that a training that needs less finds its room.</summary>
    [TestMethod]
    public void AForwardThatThrowsLeavesNoGraph()
    {
        Collect();
        long before = Tensor.TotalCount;

        WeakReference pass = Forward();

        Assert.AreEqual(before, Tensor.TotalCount);
        Collect();
        Assert.IsFalse(pass.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Forward()
        {
            using var scope = NewDisposeScope();
            using var pass = new BackwardPass();
            Tensor y = Failing.Apply(ones(4, requires_grad: true).OnDevice(), Failing.Never);
            string said = Assert.ThrowsExactly<InvalidDataException>(() => Failing.Apply(y, Failing.InForward)).Message;
            Assert.AreEqual(Failing.InForward, said);
            return new WeakReference(pass);
        }
    }

    /// <summary>libtorch's own failure: what it still had to do would stay in its queue, with the graph.</summary>
    [TestMethod]
    public void ABackwardThatLibtorchEndsLeavesNoGraph()
    {
        WeakReference pass = Backward();
        Collect();

        Assert.IsFalse(pass.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Backward()
        {
            using var scope = NewDisposeScope();
            using var pass = new BackwardPass();
            Tensor x = ones(4, requires_grad: true).OnDevice();
            Tensor y = Failing.Apply(x, Failing.Never) + Failing.Apply(x, Failing.WrongShape);
            Assert.Contains("invalid gradient", Assert.Throws<ExternalException>(() => pass.Run(y, ones(4).OnDevice())).Message);
            return new WeakReference(pass);
        }
    }

    /// <summary>What a failure leaves unread is freed too.</summary>
    [TestMethod]
    public void ABackwardThatThrowsLeavesNoLiveTensors()
    {
        Collect();
        long before = Tensor.TotalCount;
        using (var pass = new BackwardPass())
        {
            using var scope = NewDisposeScope();
            Tensor x = ones(4, requires_grad: true).OnDevice();
            Tensor other = Failing.Apply(x, Failing.Never), failing = Failing.Apply(x, "thrown");

            // Both are asked, in whatever order.
            Tensor y = Failing.Apply(other, Failing.Never) + Failing.Apply(failing, Failing.Never), gradient = ones(4).OnDevice();
            long between = Tensor.TotalCount;

            OnAnotherThread(() => Assert.ThrowsExactly<InvalidDataException>(() => pass.Run(y, gradient)));

            Assert.AreEqual(between, Tensor.TotalCount);
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>A block that is computed again in backward: what fails there, or in the backward within, reaches the caller.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void WhatACheckpointedBlockThrowsReachesWhoeverCalledBackward(bool whileComputing)
    {
        Collect();
        long before = Tensor.TotalCount;
        using (var pass = new BackwardPass())
        {
            using var scope = NewDisposeScope();
            Tensor x = ones([1, 4], requires_grad: true).OnDevice(), anchor = zeros([], requires_grad: true).OnDevice();
            Tensor one = ones(1).OnDevice(), gradient = ones(1, 4).OnDevice();
            Tensor y = GradientCheckpoint.Apply(
                new FailingBlock(whileComputing), x, new AttentionInputs((one, one), null, Cache: null), anchor);
            long between = Tensor.TotalCount;

            OnAnotherThread(() => Assert.AreEqual(
                whileComputing ? Failing.InForward : "in the block",
                Assert.ThrowsExactly<InvalidDataException>(() => pass.Run(y, gradient)).Message));

            Assert.AreEqual(between, Tensor.TotalCount);
            Assert.IsNull(x.grad);
        }

        Collect();
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>
    /// One thread of a GPU serves every training on it: while a block of the one is computed again, it may turn to the other's gradients.
    /// </summary>
    [TestMethod]
    public void OneThreadServesTwoPassesInTurns()
    {
        Collect();
        long before = Tensor.TotalCount;
        using (BackwardPass one = new(), other = new())
        {
            List<Tensor?> outer = one.Give(1, () =>
            {
                using var scope = NewDisposeScope();
                Tensor block = ones(3).OnDevice();
                Tensor? nested = one.Give(1, Constant(2))[0];
                Tensor? foreign = other.Give(1, Constant(3))[0];
                Assert.AreSame(one, BackwardPass.Current);
                Assert.AreEqual(2, nested!.sum().item<float>());
                Assert.AreEqual(3, foreign!.sum().item<float>());
                return [block.Plus(foreign).DetachFromDisposeScope()];
            });
            other.Give(1, Constant(5));

            Assert.AreSame(other, BackwardPass.Current);
            using var last = NewDisposeScope();
            Assert.AreEqual(12, outer[0]!.sum().item<float>());
        }

        Collect();
        Assert.AreEqual(before, Tensor.TotalCount);

        static Func<List<Tensor?>> Constant(int value) => () => [tensor((float)value).OnDevice().DetachFromDisposeScope()];
    }

    [TestMethod]
    public void APassEndsWithItsBlockAndTheOuterOneGoesOn()
    {
        Assert.IsNull(BackwardPass.Current);
        using (var outer = new BackwardPass())
        {
            using (var inner = new BackwardPass())
            {
                Assert.AreSame(inner, BackwardPass.Current);
            }

            Assert.AreSame(outer, BackwardPass.Current);
        }

        Assert.IsNull(BackwardPass.Current);
    }

    /// <summary>Many trainings at once, each with a pass of its own: none frees what another's libtorch still reads.</summary>
    [TestMethod]
    public void PassesOfSeveralThreadsDoNotMeet()
    {
        double[][] values = new double[4][];
        Parallel.For(0, values.Length, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            using CausalLM model = TinyModel.Create();
            AdapterSet adapters = TinyModel.Adapt(model);
            var plan = new BatchPlan(TinyModel.Rows(12), 2, 2, seed: 1);
            new TrainingLoop(model, adapters, TinyModel.Settings).Run(plan.Epoch(0), plan.StepsPerEpoch, null, _ => { }, default);
            values[i] = TinyModel.Values(adapters);
        });

        foreach (double[] other in values[1..])
        {
            CollectionAssert.AreEqual(values[0], other);
        }
    }

    /// <summary>A function that TorchSharp calls directly would leak on a GPU, and end the process with what it throws.</summary>
    [TestMethod]
    public void EveryGradientThatIsComputedHereGoesThroughAPass()
    {
        Type[] functions = [.. typeof(CausalLM).Assembly.GetTypes().Where(type => !type.IsAbstract && Bases(type).Any(IsTorchSharps))];

        Assert.Contains(typeof(LowRankFunction), functions);
        Assert.IsTrue(functions.All(type => Bases(type).Any(IsOurs)), string.Join(", ", functions.Select(type => type.Name)));

        static IEnumerable<Type> Bases(Type type)
        {
            for (Type? above = type.BaseType; above is not null; above = above.BaseType)
            {
                yield return above;
            }
        }

        static bool IsTorchSharps(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Function<>);

        static bool IsOurs(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(GradientFunction<>);
    }

    private static void OnAnotherThread(Action act)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                act();
            }
            catch (Exception thrown)
            {
                failure = thrown;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            throw new AssertFailedException(failure.Message, failure);
        }
    }

    internal static void Collect()
    {
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    /// <summary>y = x, which fails when it is computed a second time, or whose gradient fails.</summary>
    private sealed class FailingBlock(bool whileComputing) : ICheckpointedBlock
    {
        public Tensor Compute(Tensor input, AttentionInputs inputs, bool isRead) =>
            Failing.Apply(input, isRead ? Failing.Never : whileComputing ? Failing.InForward : "in the block");
    }

    /// <summary>y = x, whose gradient fails.</summary>
    private sealed class Failing : GradientFunction<Failing>
    {
        public const string OutOfMemory = "out of memory", InForward = "in forward", Never = "never", WrongShape = "wrong shape";

        public static Tensor Apply(Tensor x, string how) => Record(x, how);

        protected override Tensor Forward(AutogradContext ctx, object[] vars)
        {
            ctx.save_data("how", vars[1]);
            return (string)vars[1] == InForward ? throw new InvalidDataException(InForward) : ((Tensor)vars[0]).clone();
        }

        protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
        {
            var how = (string)ctx.get_data("how");
            return how switch
            {
                OutOfMemory => [empty(1L << 50).OnDevice(), null],
                WrongShape => [ones(5).OnDevice(), null],
                Never => [gradient.clone(), null],
                _ => throw new InvalidDataException(how),
            };
        }
    }
}
