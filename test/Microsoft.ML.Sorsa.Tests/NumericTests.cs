using System.Reflection;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Mono.Cecil;
using Mono.Cecil.Cil;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// SORSA_TEST_DEVICE moves the tests of the category Numeric: nothing in them names the CPU, makes a tensor or a layer that stays there, or
/// makes a context of ML.NET without the device; and what they read of a tensor, they bring to the CPU first. The compiled code is
/// searched, so that this holds where there is no GPU to run on.
/// </summary>
[TestClass]
[TestCategory("Architecture")]
public sealed class NumericTests
{
    private const string Torch = "TorchSharp.torch";

    private static readonly HashSet<string> s_factories =
        ["randn", "rand", "zeros", "ones", "tensor", "arange", "eye", "full", "randint", "linspace", "empty", "from_array"];

    /// <summary>What numeric tests share.</summary>
    private static readonly Type[] s_shared = [typeof(TinyModel), typeof(TinyTask)];

    [TestMethod]
    public void NumericTestsComputeOnTheDeviceThatIsChosen()
    {
        Type[] numeric = [.. typeof(NumericTests).Assembly.GetTypes().Where(
            type => type.GetCustomAttributes<TestCategoryAttribute>().Any(category => category.TestCategories.Contains("Numeric")))];

        string[] faults = Faults([.. numeric, .. s_shared]);

        Assert.IsGreaterThanOrEqualTo(20, numeric.Length);
        Assert.IsEmpty(faults, string.Join(Environment.NewLine, faults));
    }

    /// <summary>The check above means nothing if it does not find what stands at the end of this class.</summary>
    [TestMethod]
    public void WhatStaysOnTheCpuIsFound()
    {
        string[] faults = Faults([typeof(Misplaced)]);

        Assert.HasCount(7, faults);
        foreach (string what in new[] { "CPU", "randn", "data", "bytes", "MLContext", "Linear", "Embed" })
        {
            Assert.IsTrue(faults.Any(fault => fault.Contains($" {what}", StringComparison.Ordinal)), what);
        }
    }

    [TestMethod]
    [DataRow("gpu")]
    [DataRow("cuda:")]
    [DataRow("cuda:x")]
    [DataRow("cuda:-1")]
    [DataRow("CPU")]
    public void AnUnknownDeviceIsAnError(string name) => Assert.Contains(
        $"SORSA_TEST_DEVICE is '{name}'; it must be cpu, cuda or cuda:N",
        Assert.ThrowsExactly<ArgumentException>(() => TestDevice.Open(name, TestDevice.Variable)).Message);

    [TestMethod]
    public void AGpuThatIsNotThereIsAnError() => Assert.Contains(
        "SORSA_TEST_DEVICE is 'cuda:99'",
        Assert.ThrowsExactly<ArgumentException>(() => TestDevice.Open("cuda:99", TestDevice.Variable)).Message);

    private static string[] Faults(Type[] types)
    {
        using AssemblyDefinition tests = AssemblyDefinition.ReadAssembly(typeof(NumericTests).Assembly.Location);
        HashSet<string> names = [.. types.Select(type => type.FullName!.Replace('+', '/'))];
        return
        [
            .. from type in tests.MainModule.GetTypes()
               where names.Any(name => type.FullName == name || type.FullName.StartsWith(name + "/", StringComparison.Ordinal))
               from method in type.Methods
               where method.HasBody
               from instruction in method.Body.Instructions
               let fault = Fault(instruction)
               where fault is not null
               select $"{method.FullName}: {fault}",
        ];
    }

    private static string? Fault(Instruction instruction)
    {
        if (instruction.Operand is not MemberReference member)
        {
            return null;
        }

        string owner = member.DeclaringType?.FullName ?? "";
        return (owner, member.Name) switch
        {
            (Torch, "CPU" or "get_CPU") => " CPU is named; name TestDevice.Current",
            (Torch, var name) when s_factories.Contains(name) && !Calls(instruction.Next, nameof(TestDevice.OnDevice)) =>
                $" {name} makes a tensor on the CPU; put .OnDevice() behind it",
            (Torch + "/nn", "Linear") when IsMadeBySize((MethodReference)member) && !Calls(instruction.Next, "get_Current") =>
                " Linear makes a layer on the CPU; put .to(TestDevice.Current) behind it",
            (Torch + "/Tensor", "data" or "get_bytes") when !Calls(instruction.Previous, nameof(Tensor.cpu)) =>
                $" {member.Name.Replace("get_", "", StringComparison.Ordinal)} is read where the tensor lies; put .cpu() before it",
            ("Microsoft.ML.Sorsa.Models.CausalLM", nameof(CausalLM.Embed)) when Calls(instruction.Previous, "get_TensorItems") =>
                " Embed is given ids that lie where they were read; put .to(TestDevice.Current) behind them",
            ("Microsoft.ML.MLContext", ".ctor") => " MLContext is made without the device; use TestDevice.Context()",
            _ => null,
        };
    }

    private static bool IsMadeBySize(MethodReference made) => made.Parameters[0].ParameterType.MetadataType == MetadataType.Int64;

    private static bool Calls(Instruction? instruction, string name) =>
        instruction?.Operand is MethodReference called && called.Name == name;

    private static class Misplaced
    {
        public static byte[] Compute(CausalLM model, Tensor[] stored)
        {
            model.Embed(stored[0][0]).Dispose();
            _ = new Microsoft.ML.MLContext();
            using Tensor drawn = randn(2), moved = drawn.to(CPU);
            _ = moved.data<float>();
            nn.Linear(2, 2).Dispose();
            return moved.bytes.ToArray();
        }
    }
}
