using Microsoft.ML.Sorsa.Models;
using Mono.Cecil;
using Mono.Cecil.Cil;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// TorchSharp's Generator is a CPU generator whatever device it is made with, and an operation on a card that is handed one ends the
/// process. So in the compiled code whatever takes a generator makes a new tensor, and on the CPU; and nothing draws without one, from the
/// state of the whole process.
/// </summary>
[TestClass]
[TestCategory("Architecture")]
public sealed class GeneratorDeviceTests
{
    private const string Generator = "TorchSharp.torch/Generator", Device = "TorchSharp.torch/Device";

    [TestMethod]
    public void GeneratorsDrawOnTheCpuAlone()
    {
        using AssemblyDefinition library = AssemblyDefinition.ReadAssembly(typeof(CausalLM).Assembly.Location);

        string[] found = [.. Elsewhere(library)];

        Assert.IsEmpty(found, string.Join(Environment.NewLine, found));
        Assert.IsGreaterThanOrEqualTo(3, Calls(library).Count(call => TakesGenerator(call.Called)));
    }

    /// <summary>The check above means nothing if it does not find what this assembly does on purpose.</summary>
    [TestMethod]
    public void ADrawElsewhereIsFound()
    {
        using Tensor drawn = Draws(CPU);
        Assert.AreEqual(2, drawn.numel());
        using AssemblyDefinition tests = AssemblyDefinition.ReadAssembly(typeof(GeneratorDeviceTests).Assembly.Location);

        string[] found = [.. Elsewhere(tests).Where(found => found.Contains(nameof(Draws), StringComparison.Ordinal))];

        // The generator with a device, a draw without one or on another, and those in place and by the process-wide generator.
        Assert.AreEqual(
            ".ctor, rand, rand, randn, normal_, bernoulli", string.Join(", ", found.Select(text => text[(text.LastIndexOf(' ') + 1)..])));
    }

    private static Tensor Draws(Device device)
    {
        using var scope = NewDisposeScope();
        using var onCpu = new Generator(1);
        using var elsewhere = new Generator(1, device);
        Tensor fine = rand(2, ScalarType.Float32, CPU, generator: onCpu), nowhere = rand(2, generator: onCpu);
        Tensor onDevice = rand(2, ScalarType.Float32, device, generator: onCpu), ungenerated = randn(2, device: device);
        return scope.MoveToOuter(ungenerated.normal_(0, 1, onCpu) * fine * nowhere * onDevice * fine.bernoulli());
    }

    private static IEnumerable<string> Elsewhere(AssemblyDefinition assembly) =>
        from call in Calls(assembly)
        where TakesGenerator(call.Called) && !IsOnCpu(call.Instruction, call.Called)
        select $"{call.Method.FullName} calls {call.Called.Name}";

    private static bool TakesGenerator(MethodReference called) =>
        called.DeclaringType.FullName.StartsWith("TorchSharp.", StringComparison.Ordinal)
            && (IsNewGenerator(called) || called.Parameters.Any(parameter => parameter.ParameterType.FullName == Generator));

    private static bool IsNewGenerator(MethodReference called) => called.Name == ".ctor" && called.DeclaringType.FullName == Generator;

    /// <summary>
    /// A generator is made without a device, and drawn from on the CPU by name. An operation in place has no device but its tensor's.
    /// </summary>
    private static bool IsOnCpu(Instruction call, MethodReference called)
    {
        Instruction? Argument(string type) =>
            called.Parameters.FirstOrDefault(parameter => parameter.ParameterType.FullName == type) is { } parameter
                ? Pushed(call, called.Parameters.Count - 1 - parameter.Index) : null;
        Instruction? device = Argument(Device);
        return IsNewGenerator(called)
            ? device is null || device.OpCode == OpCodes.Ldnull
            : device?.Operand is MemberReference { Name: "CPU" or "get_CPU" } && Argument(Generator)?.OpCode != OpCodes.Ldnull;
    }

    /// <summary>What pushed an argument, that many from the last; null where it cannot be told.</summary>
    private static Instruction? Pushed(Instruction call, int fromLast)
    {
        Instruction? at = call.Previous;
        for (int above = fromLast; at is not null && Pushes(at) <= above; at = at.Previous)
        {
            above += Pops(at) - Pushes(at);
        }

        return at;
    }

    private static int Pushes(Instruction instruction) => instruction.OpCode.StackBehaviourPush switch
    {
        StackBehaviour.Push0 => 0,
        StackBehaviour.Push1_push1 => 2,
        StackBehaviour.Varpush => ((MethodReference)instruction.Operand).ReturnType.FullName == "System.Void" ? 0 : 1,
        _ => 1,
    };

    private static int Pops(Instruction instruction) => instruction.OpCode.StackBehaviourPop switch
    {
        StackBehaviour.Pop0 => 0,
        StackBehaviour.Pop1 or StackBehaviour.Popi or StackBehaviour.Popref => 1,
        StackBehaviour.Varpop when instruction.Operand is MethodReference called =>
            called.Parameters.Count + (called.HasThis && instruction.OpCode != OpCodes.Newobj ? 1 : 0),
        StackBehaviour.Varpop => 0,
        StackBehaviour.Pop1_pop1 or StackBehaviour.Popi_pop1 or StackBehaviour.Popi_popi or StackBehaviour.Popi_popi8
            or StackBehaviour.Popi_popr4 or StackBehaviour.Popi_popr8 or StackBehaviour.Popref_pop1 or StackBehaviour.Popref_popi => 2,
        _ => 3,
    };

    private static IEnumerable<(MethodDefinition Method, Instruction Instruction, MethodReference Called)> Calls(
        AssemblyDefinition assembly) =>
        from method in assembly.MainModule.GetTypes().SelectMany(type => type.Methods)
        where method.HasBody
        from instruction in method.Body.Instructions
        where instruction.Operand is MethodReference && instruction.OpCode.FlowControl == FlowControl.Call
        select (method, instruction, (MethodReference)instruction.Operand);
}
